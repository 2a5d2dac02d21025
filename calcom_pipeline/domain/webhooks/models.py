"""Webhook subscriptions at Cal.com: where it calls, for what, and whose they are. Fact sheet section 7."""

import re
from dataclasses import dataclass, field

#: The version of payloads that every build knows; builds that know others take it as the default (fact sheet 7.3).
PAYLOAD_VERSION = "2021-10-20"
_SCOPE = re.compile(r"(?:team:(\d+)/)?event-type:(\d+)")


@dataclass(frozen=True, slots=True)
class WebhookScope:
    """Whose subscriptions: the key's own user's, or those of one event type (of a team, if `team_id` names it)."""

    event_type_id: int | None = None
    team_id: int | None = None

    def __str__(self) -> str:
        if self.event_type_id is None:
            return "user"
        return (f"team:{self.team_id}/" if self.team_id is not None else "") + f"event-type:{self.event_type_id}"

    @classmethod
    def parse(cls, text: str) -> "WebhookScope":
        """Read what `str()` wrote. Raises ValueError for anything else."""
        if text == "user":
            return cls()
        found = _SCOPE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no scope of webhooks")
        return cls(int(found[2]), int(found[1]) if found[1] else None)


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """A subscription to be made. A URL can be subscribed once per scope."""

    url: str
    triggers: tuple[str, ...]
    secret: str = field(repr=False)
    active: bool = True


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscription as Cal.com shows it, its secret included; a subscription without one is signed by nobody.

    `version` is None where a build does not tell it (capture 06d). A `template` replaces the whole body of a delivery.
    """

    id: str
    url: str
    triggers: tuple[str, ...]
    active: bool
    secret: str | None = field(default=None, repr=False)
    version: str | None = None
    template: str | None = None
