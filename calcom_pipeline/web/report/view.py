"""The report as the page wants it: texts that are safe to show, services in a compact table, groups with what to do.

Names of a business and of Cal.com may hold anything: they lose what would turn a page around, are cut, and are escaped
by the template or written as text by the script.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from calcom_pipeline.app.reports.models import AccountReport
from calcom_pipeline.domain.cleaning import one_line, printable
from calcom_pipeline.domain.redaction import redacted, without_secrets
from calcom_pipeline.domain.reports.standing import ServiceStanding
from calcom_pipeline.domain.services.fields import FIELD_NAMES
from calcom_pipeline.domain.services.plans import FieldDecision
from calcom_pipeline.domain.services.remedies import NEEDING, STANDINGS, Remedy, Standing, quoted, remedy_of

#: As a person reads them, on badges and filters.
STANDING_NAMES: Mapping[Standing, str] = {
    "parked": "Parked",
    "failed": "Failed",
    "conflict": "Conflict",
    "refused": "Refused",
    "held": "Held",
    "waiting": "Waiting",
    "pending": "To do",
    "in_sync": "In sync",
}
_LONGEST_NAME = 120
_LONGEST_VALUE = 200
_MEMBERS_NAMED = 8
_GROUPS_SHOWN = 40
#: Stands in a command for whichever service is meant.
_ANY = "SERVICE"
_FIELDS = re.compile(rf"\b({'|'.join(name for name in FIELD_NAMES if '_' in name)})\b")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs, as texts."""

    field: str
    here: str
    there: str
    agreed: str


@dataclass(frozen=True, slots=True)
class ProblemGroup:
    """Services that need somebody for one reason; `more` are not named."""

    standing: Standing
    name: str
    reason: str
    number: int
    members: Sequence[str]
    more: int
    sentence: str
    commands: Sequence[tuple[str, str]]
    differences: Sequence[Difference]
    note: str


def shown(text: object, longest: int = _LONGEST_NAME) -> str:
    """A text from outside, on one line."""
    line = one_line(printable(without_secrets(str(text))))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def reason_shown(reason: str) -> str:
    """A sentence about what is the matter, fields named as in the table of what differs; it may quote Cal.com."""
    named = _FIELDS.sub(lambda found: found[0].replace("_", " "), reason)
    return redacted(shown(named, 2 * _LONGEST_VALUE), longest=2 * _LONGEST_VALUE)


def value_shown(value: object) -> str:
    """A field's value as a person reads it."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return shown(value, _LONGEST_VALUE) if str(value) else "(empty)"


def called(one: ServiceStanding) -> str:
    """A service by its name and id."""
    return f"{shown(one.name) or 'no name'} ({shown(one.service_id)})"


def differences(fields: Iterable[FieldDecision]) -> list[Difference]:
    """What differs, as texts."""
    return [
        Difference(f.field.replace("_", " "), value_shown(f.local), value_shown(f.remote), value_shown(f.base))
        for f in fields
    ]


def groups(report: AccountReport) -> tuple[list[ProblemGroup], int]:
    """Services that need somebody, by reason, the worst and largest first; and how many groups are left out."""
    by_reason: dict[tuple[Standing, str], list[ServiceStanding]] = {}
    for one in report.services:
        if one.standing in NEEDING:
            by_reason.setdefault((one.standing, str(one.reason)), []).append(one)
    ordered = sorted(by_reason.items(), key=lambda item: (STANDINGS.index(item[0][0]), -len(item[1])))
    return [_group(members, report) for _, members in ordered[:_GROUPS_SHOWN]], max(0, len(ordered) - _GROUPS_SHOWN)


def _group(members: Sequence[ServiceStanding], report: AccountReport) -> ProblemGroup:
    first, alone = members[0], len(members) == 1
    remedy = _remedy(first, report)
    word = quoted(first.service_id) if alone else _ANY
    return ProblemGroup(
        first.standing,
        STANDING_NAMES[first.standing],
        reason_shown(first.reason),
        len(members),
        [called(one) for one in members[:_MEMBERS_NAMED]],
        max(0, len(members) - _MEMBERS_NAMED),
        _remedy_sentence(remedy),
        [(what, command.format(service=word)) for what, command in remedy.commands],
        differences(first.fields) if alone else (),
        _attempts(first) if alone else "",
    )


def _attempts(one: ServiceStanding) -> str:
    if not one.attempts:
        return ""
    tried = f"Tried {one.attempts} times" if one.attempts > 1 else "Tried once"
    return f"{tried}; again from {minute(one.next_attempt_at)}" if one.next_attempt_at else tried


def _remedy(one: ServiceStanding, report: AccountReport) -> Remedy:
    return remedy_of(one.standing, one.reason.code, writes=report.mode == "auto", open_plan=report.open_plan)


def _remedy_sentence(remedy: Remedy) -> str:
    return remedy.sentence and f"{remedy.sentence}."


class ServiceTable:
    """Services for the page's script: rows of few values, repeated texts once.

    A row is [id, name, slug, event type, standing], and where it is not in sync also [reason, remedy, the id as a word
    of a command where that is another, note about attempts, differences]. Standing, reason and remedy are places.
    """

    def __init__(self, report: AccountReport, *, most: int) -> None:
        self._report = report
        self._texts: dict[str, int] = {}
        self._remedies: dict[Remedy, int] = {}
        self._reasons: dict[str, str] = {}
        self.rows = [self._row(one) for one in report.services[:most]]
        self.left_out = max(0, len(report.services) - most)

    def data(self) -> dict[str, Any]:
        """What the script reads."""
        return {
            "standings": [[key, STANDING_NAMES[key]] for key in STANDINGS],
            "texts": list(self._texts),
            "remedies": [[_remedy_sentence(remedy), remedy.commands] for remedy in self._remedies],
            "rows": self.rows,
        }

    def _row(self, one: ServiceStanding) -> list[Any]:
        row: list[Any] = [shown(one.service_id), shown(one.name), shown(one.slug), one.event_type_id]
        row.append(STANDINGS.index(one.standing))
        if one.standing == "in_sync":
            return row
        sentence = str(one.reason)
        reason = self._reasons.get(sentence) or self._reasons.setdefault(sentence, reason_shown(sentence))
        row += [self._place(self._texts, reason), self._place(self._remedies, _remedy(one, self._report))]
        row += [quoted(one.service_id) if quoted(one.service_id) != row[0] else 0, _attempts(one)]
        row.append([[d.field, d.here, d.there, d.agreed] for d in differences(one.fields)])
        return row

    @staticmethod
    def _place(known: dict[Any, int], value: Any) -> int:
        return known.setdefault(value, len(known))


def minute(at: datetime | None) -> str:
    """An instant as the page writes it."""
    return f"{at:%d %b %H:%M} UTC" if at is not None else "never"
