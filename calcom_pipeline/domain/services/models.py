"""A business's own services: what one looks like, which values are refused and why.

A business's table may hold anything (it has no CHECKs of ours), so a `Service` is read leniently and judged here, all
problems at once.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated

from calcom_pipeline.domain.columns import Column, columns_of
from calcom_pipeline.domain.event_types.models import Owner
from calcom_pipeline.domain.reasons import Reason

LONGEST_NAME = 255
LONGEST_DURATION_MINUTES = 24 * 60
_SLUG = re.compile(r"[A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
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


_BOUNDED = [(name, column) for name, column in columns_of(Service).items() if column.bounded]
_numbers: Callable[[Service], tuple[int | None, ...]] = attrgetter(*(name for name, _ in _BOUNDED))


def problems_of(service: Service) -> list[Reason]:
    """Why a service cannot become an event type: a reason each, empty when it can."""
    return [*_text_problems(service), *_number_problems(service)]


def _text_problems(service: Service) -> Iterator[Reason]:
    name, slug = clean_text(service.name), clean_slug(service.slug)
    if not name:
        yield Reason("name_missing")
    elif len(name) > LONGEST_NAME:
        yield Reason("name_too_long", most=LONGEST_NAME)
    if not slug:
        yield Reason("slug_missing")
    elif not _SLUG.fullmatch(slug):
        yield Reason("slug_characters", slug=slug)
    if service.currency is not None and not _CURRENCY.fullmatch(service.currency.strip()):
        yield Reason("currency_unknown", currency=service.currency)


def _number_problems(service: Service) -> Iterator[Reason]:
    if service.unreadable:
        yield from (Reason("value_unreadable", what=what) for what in service.unreadable)
        return
    duration = service.duration_minutes
    if duration is None or not 1 <= duration <= LONGEST_DURATION_MINUTES:
        yield Reason("duration_out_of_range", minutes=duration, most=LONGEST_DURATION_MINUTES)
    for number, (name, column) in zip(_numbers(service), _BOUNDED, strict=True):
        if number is not None and not column.takes(number):
            yield Reason(column.wrong, column=name, value=number, least=column.least, most=column.most)
