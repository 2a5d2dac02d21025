"""What a person wants to see of a materialization: counts, calls spent, seconds. Dagster plots numbers over time."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from calcom_pipeline.app.calls import CallMeter, Changes, Spent
from calcom_pipeline.settings import Settings


class Meter:
    """Measures what a step spends on Cal.com, from its creation to `metadata()`."""

    def __init__(self, calcom: CallMeter, clock: Callable[[], float] = time.monotonic) -> None:
        self._calcom = calcom
        self._clock = clock
        self._before: Spent = calcom.spent()
        self._began = clock()

    def spent(self) -> Spent:
        """Calls and waits so far."""
        return self._calcom.spent().since(self._before)

    def metadata(self) -> dict[str, Any]:
        """Calls, waits and seconds so far."""
        spent = self.spent()
        return {
            "calls to Cal.com": spent.calls,
            "calls refused": spent.refused,
            "seconds waited for the limit": round(spent.waited_seconds, 1),
            "seconds in all": round(self._clock() - self._began, 2),
        }


def see_also(settings: Settings, part: str) -> dict[str, Any]:
    """A link to a part of the live report, by its id there; nothing where its address is not known."""
    if settings.report_url is None:
        return {}
    return {"see it live": dg.MetadataValue.url(f"{settings.report_url.rstrip('/')}/#{part}")}


def change_metadata(changes: Changes) -> dict[str, int]:
    """What a write did to a mirror."""
    return {
        "rows added": changes.added,
        "rows changed": changes.changed,
        "rows gone": changes.gone,
        "rows unchanged": changes.unchanged,
    }


def table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows as the UI's table; Dagster refuses one without rows unless its columns are named."""
    records = [dg.TableRecord(dict(row)) for row in rows]
    return dg.MetadataValue.table(records, schema=None if records else dg.TableSchema(columns=[]))
