"""A plan, and what came of it, as lines for a terminal: what changes alone, and one block for what waits together.

Nothing here prints: every function makes `Line`s of a given width. A cell is what a terminal calls a column; a Chinese
character takes two.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from calcom_pipeline.app.services.summary import ApplySummary, GroupMember, PlanSummary, ReasonGroup
from calcom_pipeline.domain.cleaning import one_line, printable
from calcom_pipeline.domain.services.plans import FieldDecision

_SIGNS: Mapping[str, tuple[str, str]] = {
    "create": ("+", "green"),
    "import": ("+", "green"),
    "show": ("+", "green"),
    "adopt": ("=", "cyan"),
    "push": ("~", "yellow"),
    "pull": ("~", "yellow"),
    "hide": ("-", "red"),
    "park": ("-", "red"),
}
_SHORT_ACTIONS: Mapping[str, str] = {"show": "show", "hide": "hide", "park": "park"}
_HEADS: Mapping[str, str] = {
    "link": "to link",
    "held": "held",
    "conflict": "in conflict",
    "refuse": "refused",
    "parked": "parked",
    "wait": "waiting",
    "failed": "failed",
    "stale": "left for the next plan",
}
_STYLES: Mapping[str, str] = {"link": "cyan", "failed": "red", "wait": "", "stale": ""}
_NARROWEST, _LONGEST_NAME = 40, 48
# So much of what both values share is left before the first difference.
_LEAD = 8
_DOTS = "\N{HORIZONTAL ELLIPSIS}"
# What a new event type is known by; all of its fields stand in `explain` and in --json.
_OF_A_NEW_ONE = ("slug", "duration_minutes")


class Line(NamedTuple):
    """A line and how it is shown where colours are: a style of rich, or nothing."""

    text: str
    style: str = ""


def plan_lines(summary: PlanSummary, *, width: int) -> list[Line]:
    """What changes, then what waits, by reason."""
    return [*change_lines(summary.changes, width=width), *_groups(summary.groups, max(width, _NARROWEST))]


def change_lines(changes: Iterable[GroupMember], *, width: int) -> list[Line]:
    """What is created, changed, shown, hidden and parked, field by field."""
    return [line for change in changes for line in _change(change, max(width, _NARROWEST))]


def apply_lines(summary: ApplySummary, *, width: int) -> list[Line]:
    """What was done, then what was not, by reason. Links that leave nothing open are one block."""
    width = max(width, _NARROWEST)
    linked = [one for one, _ in summary.done if one.kind == "adopt"]
    lines = [line for one, message in summary.done if one.kind != "adopt" for line in _done(one, message, width)]
    if linked:
        lines += _wrapped(f"= {len(linked)} linked to the event types that have their slugs", width, style="cyan")
        lines += _members(linked, width)
    return [*lines, *_groups(summary.groups, width)]


def group_lines(groups: Iterable[ReasonGroup], *, width: int, indent: int = 0) -> list[Line]:
    """What waits or failed, by reason, below another line. Links, which leave nothing open, are left out."""
    blank = " " * indent
    lines = _groups((g for g in groups if g.fate != "link"), max(width, _NARROWEST) - indent)
    return [Line(blank + text, style) for text, style in lines]


def wrapped(text: str, *, width: int, indent: int = 0) -> list[str]:
    """A sentence over as many lines as it takes, all of them indented."""
    blank = " " * indent
    return [f"{blank}{line}" for line in _filled(text.split(" "), max(width, _NARROWEST) - indent)]


def _done(one: GroupMember, message: str, width: int) -> Iterator[Line]:
    sign, style = _SIGNS[one.kind]
    yield from _wrapped(f"{sign} {_called(one)}: {_clean(message)}", width, style=style)


def _change(one: GroupMember, width: int) -> Iterator[Line]:
    sign, style = _SIGNS[one.kind]
    details = f": {_SHORT_ACTIONS[one.kind]}" if one.kind in _SHORT_ACTIONS else ""
    if one.kind == "create":
        new = {d.field: d.local for d in one.fields}
        details = ": new, " + ", ".join(f"{name} {_value(new[name])}" for name in _OF_A_NEW_ONE if name in new)
    yield from _wrapped(f"{sign} {_called(one)}{details}", width, hang=4, style=style)
    if one.kind not in ("create", "import"):
        yield from (Line(text, style) for d in one.fields for text in _field(d, one.kind, width))


def _field(decision: FieldDecision, kind: str, width: int) -> Iterator[str]:
    if decision.field == "hidden" and kind in _SHORT_ACTIONS and decision.verdict == "push":
        return  # the action itself says so
    if decision.verdict == "conflict":
        return  # shown in the block of conflicts
    pull = decision.verdict == "pull"
    was, becomes = (decision.local, decision.remote) if pull else (decision.remote, decision.local)
    where = "  (taken over from Cal.com)" if pull else ""
    head = f"    ~ {decision.field}: "
    before, after = _pair(was, becomes, width - cell_len(head) - len(" -> ") - len(where))
    yield f"{head}{before} -> {after}{where}"


def _groups(groups: Iterable[ReasonGroup], width: int) -> Iterator[Line]:
    for group in groups:
        style = _STYLES.get(group.fate, "magenta")
        head = _HEADS[group.fate]
        yield from _wrapped(f"{_sign(group)} {len(group.members)} {head}: {_clean(group.reason)}", width, style=style)
        yield from _members(group.members, width, values=group.fate == "conflict")
        if group.advice:
            yield from (Line(text) for text in wrapped(group.advice, width=width, indent=4))


def _sign(group: ReasonGroup) -> str:
    return {"link": "=", "wait": ".", "stale": "."}.get(group.fate, "!")


def _members(members: Sequence[GroupMember], width: int, *, values: bool = False) -> Iterator[Line]:
    """The members in running text; those of a conflict one by one, with what stands on each side."""
    if not values:
        kinds = {one.kind for one in members}
        names = [_called(one, kind=len(kinds) > 1) + _own(one) for one in members]
        yield from (Line(f"    {text}") for text in _filled(names, width - 4, between=", "))
        return
    for one in members:
        yield from _wrapped(f"    {_called(one)}", width, hang=6)
        for decision in one.fields:
            if decision.verdict == "conflict":
                head, middle = f"      {decision.field}: here ", ", at Cal.com "
                here, there = _pair(decision.local, decision.remote, width - cell_len(head) - len(middle))
                yield Line(f"{head}{here}{middle}{there}")


def _called(one: GroupMember, *, kind: bool = False) -> str:
    """Id, name and event type; of an event type that nobody has yet, its own."""
    name = _cut(_clean(one.name), _LONGEST_NAME)
    number = f" (event type {one.event_type_id})" if one.event_type_id else ""
    who = " ".join(part for part in (one.service_id, name) if part)
    return f"{one.kind + ' ' if kind else ''}{who}{number}".strip()


def _own(one: GroupMember) -> str:
    if not one.own:
        return ""
    return " [" + ", ".join(f"{name.replace('_', ' ')} {_clean(str(value))}" for name, value in one.own.items()) + "]"


# --- values and widths -----------------------------------------------------------------------------------


def _clean(text: str) -> str:
    return one_line(printable(text))


def _value(value: object) -> str:
    return printable(json.dumps(value, ensure_ascii=False))


def _pair(one: object, other: object, room: int) -> tuple[str, str]:
    """Two values in so many cells together; of long ones the part where they begin to differ."""
    here, there = _value(one), _value(other)
    if cell_len(here) + cell_len(there) <= room:
        return here, there
    each = max(room // 2, _LEAD)
    if cell_len(there) <= each:
        return _cut(here, room - cell_len(there)), there
    if cell_len(here) <= each:
        return here, _cut(there, room - cell_len(here))
    same = next((n for n, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), min(len(here), len(there)))
    start = max(0, same - _LEAD) if same > each - _LEAD else 0
    return _cut(_from(here, start), each), _cut(_from(there, start), each)


def _from(text: str, start: int) -> str:
    return f"{_DOTS}{text[start:]}" if start else text


def _cut(text: str, cells: int) -> str:
    """At most so many cells, with dots where something is left out."""
    if len(text) <= cells and cell_len(text) <= cells:
        return text
    return set_cell_size(text[:cells], max(cells - 1, 0)).rstrip() + _DOTS


def _wrapped(text: str, width: int, *, hang: int = 4, style: str = "") -> Iterator[Line]:
    begin = len(text) - len(text.lstrip(" "))
    first, *rest = _filled(text.lstrip(" ").split(" "), width - max(hang, begin))
    yield Line(" " * begin + first, style)
    yield from (Line(" " * hang + more, style) for more in rest)


def _filled(words: Iterable[str], cells: int, *, between: str = " ") -> list[str]:
    """Words, or longer pieces, on lines of at most so many cells; a piece that is longer is broken."""
    lines, line, end = list[str](), "", between.rstrip()
    for word in words:
        piece = word
        while cell_len(piece) > cells:
            if line:
                lines.append(line + end)
                line = ""
            part = set_cell_size(piece, cells).rstrip(" ")
            lines.append(part)
            piece = piece[len(part) :].lstrip(" ")
        longer = f"{line}{between}{piece}" if line else piece
        if line and cell_len(longer + end) > cells:
            lines.append(line + end)
            line = piece
        else:
            line = longer
    return [*lines, line] if line else lines or [""]
