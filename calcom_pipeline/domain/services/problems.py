"""Which values of a service are refused, and why: all problems at once."""

import re
from collections.abc import Callable, Iterator
from operator import attrgetter

from calcom_pipeline.domain.columns import columns_of
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.models import Service, clean_slug, clean_text

LONGEST_NAME = 255
LONGEST_DURATION_MINUTES = 24 * 60
_SLUG = re.compile(r"[A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
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
