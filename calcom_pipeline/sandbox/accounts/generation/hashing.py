"""Numbers and ids from a seed, for single rows and for whole arrays alike: splitmix64, uids, uuids."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from calcom_pipeline.sandbox.accounts.generation.characters import Ints, as_texts
from calcom_pipeline.sandbox.core.ids import UID_ALPHABET, UID_LENGTH

U64 = NDArray[np.uint64]
_WORD: Final = 2**64
# splitmix64's constants (Steele, Lea, Flood 2014), and the inverses of its two multipliers modulo 2^64.
_GAMMA: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB
_FIRST_INVERSE: Final = pow(_FIRST, -1, _WORD)
_SECOND_INVERSE: Final = pow(_SECOND, -1, _WORD)
_SHIFTS: Final = (30, 27, 31)
_HALF: Final = UID_LENGTH // 2  # so many base 58 digits hold 64 bits
_BASE: Final = len(UID_ALPHABET)
_DIGITS: Final = np.frombuffer(UID_ALPHABET.encode(), dtype=np.uint8)
_PAIRS: Final = np.stack([np.repeat(_DIGITS, _BASE), np.tile(_DIGITS, _BASE)], axis=1)
_PAIR_BASE: Final = np.uint64(_BASE * _BASE)
_INDEX_BITS: Final = 48  # a uuid's last group
_INDEX_MASK: Final = 2**_INDEX_BITS - 1
_UUID: Final = "xxxxxxxx-xxxx-4xxx-axxx-xxxxxxxxxxxx"
UUID_LENGTH: Final = len(_UUID)


__all__ = ["UUID_LENGTH", "Hashes", "Ints"]


class Hashes:
    """Pseudo-random numbers by (key, salt) for one seed. The same key and salt always give the same number."""

    def __init__(self, seed: int) -> None:
        self._seed = (seed * _GAMMA + _FIRST) % _WORD

    def words(self, keys: Ints, salt: int) -> U64:
        """64 random bits for each key."""
        with np.errstate(over="ignore"):
            mixed = keys.astype(np.uint64) + np.uint64((self._seed + salt * _GAMMA) % _WORD)
            mixed ^= mixed >> np.uint64(_SHIFTS[0])
            mixed *= np.uint64(_FIRST)
            mixed ^= mixed >> np.uint64(_SHIFTS[1])
            mixed *= np.uint64(_SECOND)
            mixed ^= mixed >> np.uint64(_SHIFTS[2])
        return mixed

    def below(self, keys: Ints, salt: int, limit: int | Ints) -> Ints:
        """A number from 0 up to but without `limit` for each key."""
        return ((self.words(keys, salt) >> np.uint64(1)).astype(np.int64)) % limit

    def shares(self, keys: Ints, salt: int) -> NDArray[np.float64]:
        """A fraction from 0 up to but without 1 for each key."""
        return (self.words(keys, salt) >> np.uint64(11)).astype(np.float64) / float(2**53)

    def key_of(self, word: int, salt: int) -> int:
        """The key whose word this is: `words` backwards."""
        mixed = _unshift(word, _SHIFTS[2])
        mixed = _unshift(mixed * _SECOND_INVERSE % _WORD, _SHIFTS[1])
        mixed = _unshift(mixed * _FIRST_INVERSE % _WORD, _SHIFTS[0])
        return (mixed - self._seed - salt * _GAMMA) % _WORD

    def uids(self, keys: Ints, salt: int) -> list[str]:
        """22 base 58 characters for each key; the first half can be read back."""
        rest = np.concatenate([self.words(keys, salt), self.words(keys, salt + 1)])
        found = np.empty((len(rest), _HALF), dtype=np.uint8)
        for place in range(_HALF - 2, 0, -2):  # two digits at a time
            whole = rest // _PAIR_BASE
            found[:, place : place + 2] = _PAIRS[(rest - whole * _PAIR_BASE).astype(np.int64)]
            rest = whole
        found[:, 0] = _DIGITS[rest.astype(np.int64)]
        return as_texts(np.hstack([found[: len(keys)], found[len(keys) :]]))

    def uid(self, key: int, salt: int) -> str:
        """The uid of one key."""
        return self.uids(np.array([key], dtype=np.int64), salt)[0]

    def key_of_uid(self, uid: str, salt: int) -> int | None:
        """The key that a uid was made of; None if it cannot be one of ours. Check it against `uid`."""
        word = 0
        for character in uid[:_HALF]:
            digit = UID_ALPHABET.find(character)
            if digit < 0:
                return None
            word = word * _BASE + digit
        return self.key_of(word, salt) if len(uid) == UID_LENGTH and word < _WORD else None

    def word(self, key: int, salt: int) -> int:
        """The same 64 random bits as `words`, for one key."""
        mixed = (key + self._seed + salt * _GAMMA) % _WORD
        mixed = (mixed ^ mixed >> _SHIFTS[0]) * _FIRST % _WORD
        mixed = (mixed ^ mixed >> _SHIFTS[1]) * _SECOND % _WORD
        return mixed ^ mixed >> _SHIFTS[2]

    def uuid(self, key: int, salt: int) -> str:
        """A version 4 uuid that carries a key below 2^48."""
        text = f"{self.word(key, salt):016x}"
        tail = key ^ (self._seed + salt) & _INDEX_MASK
        return f"{text[:8]}-{text[8:12]}-4{text[12:15]}-a{text[13:16]}-{tail:012x}"

    def key_of_uuid(self, text: str, salt: int) -> int | None:
        """The key that a uuid carries, if it is one of ours."""
        try:
            tail = int(text[-12:], 16) if len(text) == UUID_LENGTH else -1
        except ValueError:
            return None
        key = tail ^ (self._seed + salt) & _INDEX_MASK
        return key if tail >= 0 and self.uuid(key, salt) == text else None


def _unshift(word: int, shift: int) -> int:
    """Undoes `x ^= x >> shift`."""
    found = word
    for _ in range(64 // shift):
        found = word ^ (found >> shift)
    return found
