"""Does a server answer? `SELECT 1` and `PING`, spoken plainly over its Unix socket.

Spoken by hand, since a join on running servers has to cost milliseconds, and loading psycopg and redis-py
costs 0.4 s of CPU that a caller may not need. Both protocols are frozen (PostgreSQL's version 3.0 since
2003, Redis's inline commands).
"""

import socket
import struct
from pathlib import Path
from typing import BinaryIO

from calcom_pipeline.local.values import POSTGRES_SOCKET, VALKEY_SOCKET

ANSWER_SECONDS = 2.0  # a living server answers within milliseconds; a busy machine gets this much
_PROTOCOL_VERSION = 3 << 16
_HEADER = struct.Struct("!cI")


def postgres_answers(sockets: Path, *, role: str, database: str) -> bool:
    """Whether `role` may log in to `database` and `SELECT 1` is answered with a row."""
    login = f"user\0{role}\0database\0{database}\0application_name\0calcom-pipeline probe\0\0".encode()
    try:
        with _connected(sockets / POSTGRES_SOCKET) as connection, connection.makefile("rb") as answers:
            connection.sendall(struct.pack("!II", len(login) + 8, _PROTOCOL_VERSION) + login)
            if not _ready(answers):
                return False
            connection.sendall(_message(b"Q", b"SELECT 1\0"))
            row = _ready(answers)
            connection.sendall(_message(b"X", b""))
            return row
    except (OSError, EOFError):
        return False


def valkey_answers(sockets: Path) -> bool:
    """Whether Valkey answers PING; one that is still loading its data does not."""
    try:
        with _connected(sockets / VALKEY_SOCKET) as connection, connection.makefile("rb") as answers:
            connection.sendall(b"PING\r\n")
            return answers.readline() == b"+PONG\r\n"
    except OSError:
        return False


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _ready(answers: BinaryIO) -> bool:
    """Read up to ReadyForQuery; False as soon as the server asks for a password or reports an error."""
    while True:
        kind, length = _HEADER.unpack(_exactly(answers, _HEADER.size))
        body = _exactly(answers, length - 4)
        if kind == b"E" or (kind == b"R" and body != b"\0\0\0\0"):
            return False
        if kind == b"Z":
            return True


def _exactly(answers: BinaryIO, size: int) -> bytes:
    data = answers.read(size)
    if len(data) < size:
        raise EOFError
    return data
