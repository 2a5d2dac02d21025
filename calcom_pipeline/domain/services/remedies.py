"""What a person can do about a service that is not in sync: a sentence, and the commands that do it. One table.

Checks, plans, reports of an apply and the report page ask it, each for as much as it shows.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

#: How a service stands, worst first. parked and failed: a write was tried and did not work; conflict, refused and held
#: wait for a person; waiting and pending are dealt with by the next runs.
Standing = Literal["parked", "failed", "conflict", "refused", "held", "waiting", "pending", "in_sync"]
STANDINGS: tuple[Standing, ...] = get_args(Standing)
#: Those that somebody has to look at.
NEEDING: frozenset[Standing] = frozenset({"parked", "failed", "conflict", "refused", "held"})

#: `retry` it at once, `decide` whose values count, `correct` the service, `approve` the plan, let it be written, or
#: just `wait`; `none` where nothing is the matter.
RemedyKind = Literal["retry", "decide", "correct", "approve", "write", "wait", "none"]
_KINDS: Mapping[Standing, RemedyKind] = {
    "parked": "retry",
    "failed": "retry",
    "conflict": "decide",
    "refused": "correct",
    "held": "approve",
    "waiting": "wait",
    "pending": "write",
    "in_sync": "none",
}
_SENTENCES: Mapping[Standing, str] = {
    "parked": "It is not tried any more; mend the cause, then retry it",
    "failed": "It is tried again by itself, later and later; mend the cause, then retry it at once",
    "conflict": "Say whose value counts",
    "refused": "Mend the service or its event type; the next plan takes it up",
    "held": "Review it; to do it after all, apply the plan by its name",
    "waiting": "Nothing has to be done; it goes on by itself once this is over",
    "pending": "Nothing has to be done; the next run writes it",
    "in_sync": "",
}
_KINDS_BY_CODE: Mapping[str, RemedyKind] = {"create_ambiguous": "retry"}
_SENTENCES_BY_CODE: Mapping[str, str] = {
    "gone": "Its event type was deleted at Cal.com: set the service inactive, or delete it and add it anew",
    "create_ambiguous": "Look at these event types: delete what the lost create may have made, then retry it",
    "owner_unreadable": "Let the API key see that team, or change the service's team_id",
    "owner_changed": "Set its team_id back, or delete it and add it anew for the other owner",
}
_UNASKED = "Nothing is written unasked: review the plan, then apply it by its name"

_PROGRAM = "calcom-pipeline"
_EXPLAIN = ("Tell all about it", f"{_PROGRAM} explain {{service}}")
_REVIEW = ("Review what would be done", f"{_PROGRAM} plan")
_COMMANDS: Mapping[RemedyKind, tuple[tuple[str, str], ...]] = {
    "retry": (("Try it again with the next run", f"{_PROGRAM} resolve --retry {{service}}"), _EXPLAIN),
    "decide": (
        ("As it is here", f"{_PROGRAM} resolve --take local {{service}}"),
        ("As it is at Cal.com", f"{_PROGRAM} resolve --take remote {{service}}"),
    ),
    "correct": (_EXPLAIN,),
    "approve": (_REVIEW,),
    "write": (("Write it now", f"{_PROGRAM} apply --auto"),),
    "wait": (_EXPLAIN,),
    "none": (),
}
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.@:/+=][A-Za-z0-9_.@:/+=-]*")


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a person may do. In `commands`, each with what it does, `{service}` stands for the service's id."""

    kind: RemedyKind
    sentence: str
    commands: tuple[tuple[str, str], ...] = ()

    def command(self, service_id: str) -> str:
        """The one that settles it; empty where none does."""
        settling = self.commands[-1:] if self.kind == "approve" else self.commands[:1]
        return next((text.format(service=quoted(service_id)) for _, text in settling), "")


def remedy_of(standing: Standing, code: str = "", *, writes: bool = True, open_plan: str | None = None) -> Remedy:
    """What to do about a standing with a reason of this code.

    `open_plan` is the plan that waits to be applied; `writes`: changes are written unasked.
    """
    kind = _KINDS_BY_CODE.get(code, _KINDS[standing])
    sentence = _SENTENCES_BY_CODE.get(code, _SENTENCES[standing])
    if kind == "write" and not writes:
        kind, sentence = "approve", _UNASKED
    commands = _COMMANDS[kind]
    if kind == "approve" and open_plan:
        commands = (*commands, ("Apply it by its name", f"{_PROGRAM} apply {open_plan}"))
    return Remedy(kind, sentence, commands)


def explain_command(service_id: str) -> str:
    """The command that tells all about a service."""
    return _EXPLAIN[1].format(service=quoted(service_id))


def quoted(service_id: str) -> str:
    """A service's id as a word of a command: ids of a business's own table may hold anything."""
    if _PLAIN_ID.fullmatch(service_id):
        return service_id
    word = shlex.quote(service_id)
    return f"-- {word}" if service_id.startswith("-") else word
