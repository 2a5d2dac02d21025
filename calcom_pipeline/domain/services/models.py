"""A business's own services: what one looks like.

A business's table may hold anything (it has no CHECKs of ours), so a `Service` is read leniently; `problems` judges it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from calcom_pipeline.domain.columns import Column
from calcom_pipeline.domain.event_types.models import Owner

# Cal.com trims these from the front of a slug and normalises nothing else (fact sheet 4.1).
_TRIMMED_FROM_SLUGS = "-._ \t\r\n"


def clean_text(value: str | None) -> str:
    """Unix line ends, no white space around."""
    text = (value or "").strip()
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def clean_slug(value: str | None) -> str:
    """The slug as Cal.com would store it."""
    return (value or "").lstrip(_TRIMMED_FROM_SLUGS).rstrip()


@dataclass(frozen=True, slots=True)
class Shared:
    """An attribute of `Service` that its event type has too, as `field`: it is compared and kept in sync.

    `compared` makes the values of both sides alike before they are compared; `inverted` says that yes here is no there.
    """

    field: str
    compared: Callable[[str | None], str] | None = None
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """One row of `services_source`. None in an optional column is no opinion about that field: Cal.com's value stands.

    The one table of the columns of `services_source`, and of the fields that services and event types share. `price`
    and `currency` are not shared: Cal.com drops them silently (capture 27a), so they are local notes.

    `unreadable` says of each value that is not of its column's type what it is: "duration_minutes of 'abc' is no ...".
    """

    id: str
    name: Annotated[str | None, Column("text"), Shared("title", compared=clean_text)]
    slug: Annotated[str | None, Column("text"), Shared("slug", compared=clean_slug)]
    duration_minutes: Annotated[int | None, Column("integer"), Shared("duration_minutes")]
    description: Annotated[str | None, Column("text"), Shared("description", compared=clean_text)] = None
    is_active: Annotated[bool, Column("boolean"), Shared("hidden", inverted=True)] = True
    team_id: Annotated[int | None, Column("bigint")] = None
    before_buffer_minutes: Annotated[
        int | None, Column("integer", least=0, wrong="before_buffer_negative"), Shared("before_buffer_minutes")
    ] = None
    after_buffer_minutes: Annotated[
        int | None, Column("integer", least=0, wrong="after_buffer_negative"), Shared("after_buffer_minutes")
    ] = None
    minimum_notice_minutes: Annotated[
        int | None, Column("integer", least=0, wrong="notice_negative"), Shared("minimum_notice_minutes")
    ] = None
    price_minor: Annotated[int | None, Column("bigint", least=0, wrong="price_negative")] = None
    currency: Annotated[str | None, Column("text")] = None
    version: str = ""
    unreadable: tuple[str, ...] = ()

    def owner(self, me: Owner) -> Owner:
        """Whose event type it becomes: its team's, or that of the key's own user."""
        return me if self.team_id is None else Owner("team", self.team_id)
