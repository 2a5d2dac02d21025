"""A business's own services: what one looks like, which values are refused and why.

A business's table may hold anything (it has no CHECKs of ours), so a `Service` is read leniently and judged here, all
problems at once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from calcom_pipeline.domain.event_types.models import Owner
from calcom_pipeline.domain.reasons import Reason

LONGEST_NAME = 255
LONGEST_DURATION_MINUTES = 24 * 60
_SLUG = re.compile(r"[A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
# Cal.com trims these from the front of a slug and normalises nothing else (fact sheet 4.1).
_TRIMMED_FROM_SLUGS = "-._ \t\r\n"


@dataclass(frozen=True, slots=True)
class Service:
    """One row of `services_source`. None in an optional column is no opinion about that field: Cal.com's value stands.

    `unreadable` says of each value that is not of its column's type what it is: "duration_minutes of 'abc' is no ...".
    """

    id: str
    name: str | None
    slug: str | None
    duration_minutes: int | None
    description: str | None = None
    is_active: bool = True
    team_id: int | None = None
    before_buffer_minutes: int | None = None
    after_buffer_minutes: int | None = None
    minimum_notice_minutes: int | None = None
    price_minor: int | None = None
    currency: str | None = None
    version: str = ""
    unreadable: tuple[str, ...] = ()

    def owner(self, me: Owner) -> Owner:
        """Whose event type it becomes: its team's, or that of the key's own user."""
        return me if self.team_id is None else Owner("team", self.team_id)


def clean_text(value: str | None) -> str:
    """Unix line ends, no white space around."""
    text = (value or "").strip()
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def clean_slug(value: str | None) -> str:
    """The slug as Cal.com would store it."""
    return (value or "").lstrip(_TRIMMED_FROM_SLUGS).rstrip()


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
    if (service.price_minor or 0) < 0:
        yield Reason("price_negative", price=service.price_minor)
    if (service.before_buffer_minutes or 0) < 0:
        yield Reason("before_buffer_negative")
    if (service.after_buffer_minutes or 0) < 0:
        yield Reason("after_buffer_negative")
    if (service.minimum_notice_minutes or 0) < 0:
        yield Reason("notice_negative")
