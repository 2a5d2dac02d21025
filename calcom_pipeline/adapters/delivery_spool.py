"""Deliveries on the local disk while PostgreSQL is away: a file for those that were answered together.

A file is there as a whole or not at all: it is written beside, brought to the disk, and renamed; only then is anybody
answered. Only its owner may read it, since a body holds people's addresses.
"""

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.app.webhooks.delivery_ports import Spooled, SpoolFull
from calcom_pipeline.domain.availability.changes import ChangeEvent, Why
from calcom_pipeline.domain.webhooks.deliveries import Delivery

_READY, _BEING_WRITTEN, _UNREADABLE = ".spooled", ".part", ".unreadable"
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
# Whoever wrote a part of a file and did not end within that time was killed, and answered nobody.
_ABANDONED_SECONDS = 600.0
# What another process puts into the same folder within that time is not seen; at most a few megabytes.
_MEASURED_SECONDS = 1.0

_log = event_logger("webhooks")


class FileSpool:
    """A folder of at most `most_bytes`. Several processes may share it."""

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._numbers = itertools.count()
        self._known_bytes = 0
        self._measured_at = float("-inf")

    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Keep them on disk, all or nothing. Raises `SpoolFull`."""
        content = orjson.dumps([_as_json(delivery) for delivery in deliveries])
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(self._numbers):06d}"
        part = self._folder / f"{name}{_BEING_WRITTEN}"
        try:
            self._folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            if self._measured_bytes() + len(content) > self._most_bytes:
                raise SpoolFull("the spool is as large as it may become")
            _write(part, content)
            part.rename(part.with_suffix(_READY))
            _sync_folder(self._folder)
            self._known_bytes += len(content)
        except OSError as error:
            for left in (part, part.with_suffix(_READY)):
                with suppress(OSError):
                    left.unlink(missing_ok=True)
            raise SpoolFull(f"the spool cannot be written: {error.strerror or type(error).__name__}") from error

    def oldest(self) -> Spooled | None:
        """What was put first and not yet discarded; None if there is nothing. What cannot be read is put aside."""
        for path in self._files(_READY):
            try:
                rows: list[dict[str, Any]] = orjson.loads(path.read_bytes())
                return Spooled(path.name, tuple(map(_from_json, rows)))
            except FileNotFoundError:  # another process was faster
                continue
            except (ValueError, KeyError, TypeError, AttributeError):
                _log.error("spooled_deliveries_unreadable", file=path.name)
                with suppress(FileNotFoundError):
                    path.rename(path.with_suffix(_UNREADABLE))
        self._sweep()
        return None

    def discard(self, name: str) -> None:
        """These are elsewhere by now."""
        (self._folder / name).unlink(missing_ok=True)

    def _measured_bytes(self) -> int:
        """What all files take, looked at now and then: during an outage there are thousands."""
        if time.monotonic() - self._measured_at > _MEASURED_SECONDS:
            self._known_bytes, self._measured_at = self.size_bytes(), time.monotonic()
        return self._known_bytes

    def size_bytes(self) -> int:
        """What all files take, those that could not be read included."""
        total = 0
        for path in self._files(""):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def _files(self, ending: str) -> Iterator[Path]:
        """In the order in which they were put."""
        try:
            names = sorted(entry.name for entry in os.scandir(self._folder) if entry.name.endswith(ending))
        except FileNotFoundError:
            return
        for name in names:
            yield self._folder / name

    def _sweep(self) -> None:
        for path in self._files(_BEING_WRITTEN):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()


def _write(path: Path, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(file, left) :]
        os.fsync(file)
    finally:
        os.close(file)


def _sync_folder(folder: Path) -> None:
    """A rename is on the disk once its folder is."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _as_json(delivery: Delivery) -> dict[str, Any]:
    facts = [asdict(fact) for fact in delivery.facts]
    row = {
        name: getattr(delivery, name) for name in ("trigger", "uid", "old_uid", "created_at", "received_at", "reason")
    }
    return {**row, "digest": delivery.digest.hex(), "body": delivery.body.decode("latin-1"), "facts": facts}


def _from_json(row: dict[str, Any]) -> Delivery:
    return Delivery(
        digest=bytes.fromhex(row["digest"]),
        trigger=row["trigger"],
        uid=row["uid"],
        old_uid=row["old_uid"],
        created_at=datetime.fromisoformat(row["created_at"]) if row["created_at"] else None,
        received_at=datetime.fromisoformat(row["received_at"]),
        reason=row["reason"],
        facts=tuple(map(_fact, row["facts"])),
        body=row["body"].encode("latin-1"),
    )


def _fact(row: dict[str, Any]) -> ChangeEvent:
    spans = tuple((datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in row["spans"])
    return ChangeEvent(row["kind"], Why(row["why"]), row["event_type_id"], tuple(row["user_ids"]), spans)
