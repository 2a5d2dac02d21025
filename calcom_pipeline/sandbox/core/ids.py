"""Ids as Cal.com makes them, drawn from one seeded generator: short uids, uuids."""

import random
import uuid
from typing import Final

# short-uuid's default alphabet; a booking's uid is 22 of these characters.
UID_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
UID_LENGTH: Final = 22
_UUID_BITS: Final = 128


class Ids:
    """Draws ids; the same seed draws the same ids in the same order."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(f"ids-{seed}")

    def booking_uid(self) -> str:
        """A new booking's uid."""
        return "".join(self._random.choices(UID_ALPHABET, k=UID_LENGTH))

    def uuid(self) -> str:
        """A version 4 uuid, as webhooks, seats, series and reservations carry it."""
        return str(uuid.UUID(int=self._random.getrandbits(_UUID_BITS), version=4))
