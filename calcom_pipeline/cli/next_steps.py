"""What to do after each command: printed as its last line, and `next` in its JSON.

A command that knows better, a plan its own id for one, says so itself. A test finds every command here.
"""

from collections.abc import Mapping
from typing import NamedTuple


class NextStep(NamedTuple):
    """A command and what it does."""

    command: str
    why: str


_PLAN = NextStep("calcom-pipeline plan", "what would have to change")
STATUS = NextStep("calcom-pipeline status", "how much is there, and who needs somebody")
_SYNC = NextStep("calcom-pipeline sync all", "the whole loop once")
_CACHES = NextStep("calcom-pipeline sync caches", "what was changed leaves the caches that other commands fill")
_SLOTS = NextStep("calcom-pipeline slots EVENT_TYPE", "the free starts by day")
_BOOK = NextStep("calcom-pipeline book --event-type ID --start TIME --name NAME --email EMAIL", "take one of them")
_UP = NextStep("calcom-pipeline up", "the Dagster UI")

NEXT: Mapping[str, NextStep] = {
    "demo": _UP,
    "sync event-types": NextStep("calcom-pipeline sync bookings", "who has booked them"),
    "sync bookings": _CACHES,
    "sync slots": _SLOTS,
    "sync all": STATUS,
    "sync services": STATUS,
    "sync caches": NextStep("calcom-pipeline sync warm", "fetch ahead what is asked for most"),
    "sync warm": _SLOTS,
    "backfill bookings": STATUS,
    "quarantine list": NextStep("calcom-pipeline quarantine replay", "read them once more"),
    "quarantine replay": NextStep("calcom-pipeline quarantine list", "what is left, and why"),
    "erase": STATUS,
    "plan": STATUS,
    "apply": NextStep("calcom-pipeline sync all", "mirror what was written"),
    "revert": _PLAN,
    "explain": _PLAN,
    "resolve": _PLAN,
    "status": _PLAN,
    "doctor": _PLAN,
    "report": NextStep("calcom-pipeline report --html FILE", "the same as one page, with everything on it"),
    "runs": STATUS,
    "migrate": NextStep("calcom-pipeline doctor", "is everything there and set right?"),
    "maintain": STATUS,
    "materialize": STATUS,
    "exec": STATUS,
    "completion": NextStep('eval "$(calcom-pipeline completion bash)"', "in this shell; for good: see its --help"),
    "local up": NextStep('eval "$(calcom-pipeline local env)"', "let this shell use them"),
    "local env": _SYNC,
    "local down": NextStep("calcom-pipeline local up", "start them again; their data is kept"),
    "local remove": NextStep("calcom-pipeline demo", "begin anew"),
    "webhooks drain": NextStep("calcom-pipeline webhooks status", "whether deliveries arrive"),
    "webhooks ensure": NextStep("calcom-pipeline webhooks status", "whether deliveries arrive"),
    "webhooks rotate": NextStep("calcom-pipeline webhooks status", "which secret signs what"),
    "webhooks status": NextStep("calcom-pipeline webhooks ensure", "put right what is not"),
    "services attach": _PLAN,
    "book": NextStep("calcom-pipeline cancel UID", "undo it"),
    "cancel": _SLOTS,
    "reschedule": NextStep("calcom-pipeline cancel UID", "undo it, by the new uid"),
    "slots": _BOOK,
    "alternatives": _BOOK,
    "first-free": _BOOK,
    "month": _SLOTS,
    "hold start": NextStep("calcom-pipeline book --hold UID ...", "make a booking of it"),
    "hold move": NextStep("calcom-pipeline book --hold UID ...", "make a booking of it"),
    "hold show": NextStep("calcom-pipeline hold release UID", "let others have it"),
    "hold release": _SLOTS,
}
