"""The whole body of an answer, decoded in pieces, and never more of it than may be.

A megabyte of gzip can become two thousand. What ends too early, packed or not, is a broken answer and no short one.
"""

import zlib
from collections.abc import Generator, Iterable
from typing import Any

import requests
import urllib3

_PIECE_BYTES = 64 * 1024
_MEGABYTE = 1024 * 1024
# We ask for gzip or deflate, once; a server that packs twice is still understood.
_MOST_ENCODINGS = 2
ASKED_FOR = "gzip, deflate"
_GZIP_MAGIC = 0x1F
_GZIP_BITS, _ZLIB_BITS, _RAW_BITS = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_ZLIB_METHOD, _ZLIB_CHECK = 8, 31


class AnswerTooLarge(requests.RequestException):
    """More than is read of an answer; the text says of what."""


class AnswerPackedOddly(requests.RequestException):
    """An encoding that nobody asked for."""


def read_whole_body(response: requests.Response, longest_bytes: int) -> bytes:
    """All of the body, decoded, of at most `longest_bytes`.

    Raises:
        AnswerTooLarge: it is larger, or its Content-Length says so; the rest was not read.
        AnswerPackedOddly: it cannot be decoded.
        requests.exceptions.ReadTimeout: it did not end before the deadline.
        requests.exceptions.ChunkedEncodingError: it broke off, in its length, its chunks or its packing.
    """
    try:
        if _announced(response) > longest_bytes:
            raise _too_large(longest_bytes)
        pieces: Iterable[bytes] = _limited(_wire(response), longest_bytes)
        for encoding in reversed(_encodings(response)):
            pieces = _limited(_unpacked(pieces, encoding), longest_bytes)
        return b"".join(pieces)
    except (TimeoutError, urllib3.exceptions.ReadTimeoutError) as error:
        response.close()
        raise requests.exceptions.ReadTimeout("the body did not end in time") from error
    except requests.RequestException:  # an OSError, too
        response.close()
        raise
    except (urllib3.exceptions.HTTPError, zlib.error, OSError) as error:
        response.close()
        raise requests.exceptions.ChunkedEncodingError("the body broke off") from error


def _announced(response: requests.Response) -> int:
    length = response.headers.get("Content-Length", "").strip()
    # Python refuses to read numbers of thousands of digits; twenty are more than any answer has bytes.
    return int(length[:20]) if length.isascii() and length.isdigit() else 0


def _wire(response: requests.Response) -> Generator[bytes]:
    """What comes in, as it comes in."""
    while piece := response.raw.read1(_PIECE_BYTES, decode_content=False):
        yield piece


def _limited(pieces: Iterable[bytes], longest_bytes: int) -> Generator[bytes]:
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > longest_bytes:
            raise _too_large(longest_bytes)
        yield piece


def _too_large(longest_bytes: int) -> AnswerTooLarge:
    return AnswerTooLarge(f"the answer is larger than {longest_bytes / _MEGABYTE:g} MB")


def _encodings(response: requests.Response) -> list[str]:
    named = [one.strip().lower().removeprefix("x-") for one in response.headers.get("Content-Encoding", "").split(",")]
    packed = [one for one in named if one not in ("", "identity")]
    if len(packed) > _MOST_ENCODINGS or not set(packed) <= {"gzip", "deflate"}:
        raise AnswerPackedOddly("the answer is encoded in a way that was not asked for")
    return packed


def _unpacked(pieces: Iterable[bytes], encoding: str) -> Generator[bytes]:
    """The bytes that were packed, a piece at a time. Raises zlib.error for what is no such thing, or half of one."""
    waiting, stream, members = b"", None, 0
    for piece in pieces:
        waiting += piece
        while waiting:
            if stream is None:
                if members and (encoding != "gzip" or waiting[0] != _GZIP_MAGIC):
                    waiting = b""  # garbage behind the end, as every reader of gzip forgives
                    break
                if encoding == "deflate" and len(waiting) == 1:
                    break  # two bytes tell which of its two forms it is
                stream = zlib.decompressobj(_form_of(encoding, waiting))
            yield stream.decompress(waiting, _PIECE_BYTES)
            waiting = stream.unconsumed_tail
            if stream.eof:
                waiting, stream, members = stream.unused_data, None, members + 1
            elif not waiting:
                yield from _held_back(stream)
    if stream is not None or waiting:
        raise zlib.error("it ends in the middle")


def _held_back(stream: Any) -> Generator[bytes]:
    """What has been read, but was more than a piece."""
    while held := stream.decompress(b"", _PIECE_BYTES):
        yield held


def _form_of(encoding: str, beginning: bytes) -> int:
    """`deflate` means the form with a header of zlib; some servers send it without."""
    if encoding == "gzip":
        return _GZIP_BITS
    first, second = beginning[0], beginning[1]
    with_header = first & 0x0F == _ZLIB_METHOD and (first * 256 + second) % _ZLIB_CHECK == 0
    return _ZLIB_BITS if with_header else _RAW_BITS
