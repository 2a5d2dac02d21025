"""What to do about a service that is not in sync: a sentence, and the commands that do it."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from calcom_pipeline.domain.reports.standing import Standing

_PROGRAM = "calcom-pipeline"
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.@:/+=][A-Za-z0-9_.@:/+=-]*")


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a person may do. In `commands`, each with what it does, `{service}` stands for the service's id."""

    sentence: str
    commands: tuple[tuple[str, str], ...] = ()


_EXPLAIN = ("Tell all about it", f"{_PROGRAM} explain {{service}}")
_RETRY = ("Try it again with the next run", f"{_PROGRAM} resolve --retry {{service}}")

REMEDIES: Mapping[Standing, Remedy] = {
    "parked": Remedy("It is not tried any more. Once the cause is mended:", (_RETRY, _EXPLAIN)),
    "failed": Remedy("It is tried again by itself, later and later. Once the cause is mended:", (_RETRY, _EXPLAIN)),
    "conflict": Remedy(
        "Both sides changed. Decide whose value counts.",
        (
            ("As it is here", f"{_PROGRAM} resolve --take local {{service}}"),
            ("As it is at Cal.com", f"{_PROGRAM} resolve --take remote {{service}}"),
        ),
    ),
    "refused": Remedy("Correct it in the services table; it is tried again as soon as it is saved.", (_EXPLAIN,)),
    "held": Remedy("It waits until the plan is applied by its name."),
    "waiting": Remedy("Nothing has to be done; the next runs look again.", (_EXPLAIN,)),
    "pending": Remedy(
        "Nothing has to be done; the next run writes it.", (("Write it now", f"{_PROGRAM} apply --auto"),)
    ),
    "in_sync": Remedy(""),
}


_AMBIGUOUS = Remedy(
    "Look at Cal.com which event type is meant. If none of them is, let it be made anew.", (_RETRY, _EXPLAIN)
)


def remedy_of(standing: Standing, code: str, *, writes: bool, open_plan: str | None) -> Remedy:
    """What to do about a standing with a reason of this code.

    `open_plan` is the plan that waits to be applied; `writes`: changes are written unasked.
    """
    if code == "create_ambiguous":
        return _AMBIGUOUS
    review = ("Review what would be done", f"{_PROGRAM} plan")
    apply = ("Apply it by its name", f"{_PROGRAM} apply {open_plan}") if open_plan else review
    if standing == "held":
        return Remedy(REMEDIES["held"].sentence, (review, apply) if open_plan else (review,))
    if standing == "pending" and not writes:
        commands = (review, apply) if open_plan else (review,)
        return Remedy("Nothing is written unasked: review the plan, then apply it by its name.", commands)
    return REMEDIES[standing]


def quoted(service_id: str) -> str:
    """A service's id as a word of a command: ids of a business's own table may hold anything."""
    if _PLAIN_ID.fullmatch(service_id):
        return service_id
    word = shlex.quote(service_id)
    return f"-- {word}" if service_id.startswith("-") else word
