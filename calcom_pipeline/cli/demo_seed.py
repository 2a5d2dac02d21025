"""The services of the demo, made once of what the sandbox offers, so that every kind of action is seen.

Of a small account and of a large one alike: some have drifted, one at least each way, one at least is in conflict, the
rest is the same there, some are new, and some show what happens to services that cannot be synced.
"""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from calcom_pipeline.domain.services.fields import remote_values, service_columns
from calcom_pipeline.domain.services.links import Link

if TYPE_CHECKING:
    from calcom_pipeline.bootstrap.container import Container
    from calcom_pipeline.domain.event_types.models import EventType

# One in so many of what is offered is such a service, one at least where it says so.
_PUSHED_EVERY, _PULLED_EVERY, _CONFLICT_EVERY, _HIDDEN_EVERY = 8, 16, 16, 32
_NEW_EVERY, _LEAST_NEW = 5, 1
_NEW = ("Saddle fitting", "Wheel building", "Frame check", "Child seat advice", "Winter service", "E-bike update")
# More than Cal.com reads: its limit for a body is 100 kB (fact sheet 1.1).
_BROCHURE_CHARACTERS = 120_000


def seed_services(container: "Container") -> int:
    """Fill an empty services table; how many services were made (none if there are some already)."""
    store = container.services.store
    if store.services():
        return 0
    me = container.calcom.me().user_id
    offered = sorted(
        (e for e in container.calcom.list_personal() if e.parent_id is None and e.owner.id == me), key=lambda e: e.id
    )
    made = 0
    for event_type, changes, linked in _from_offer(offered):
        columns: dict[str, Any] = {**service_columns(remote_values(event_type)), **changes}
        service_id = store.insert(columns)
        if linked:
            base = {**remote_values(event_type), **({"title": changes["name"]} if linked == "pull" else {})}
            store.begin(Link(service_id, event_type.owner, event_type.id, base))
        made += 1
    for columns in _of_our_own(new=max(_LEAST_NEW, len(offered) // _NEW_EVERY)):
        store.insert(columns)
        made += 1
    return made


def _from_offer(offered: "list[EventType]") -> "Iterator[tuple[EventType, dict[str, Any], str]]":
    """Event type, what differs in its service, and how it is linked: "" not at all, else which way it will go."""
    number, rest = len(offered), iter(offered)
    for event_type in islice(rest, max(1, number // _PUSHED_EVERY)):
        yield event_type, {"name": f"{event_type.title} (new name)", "price_minor": 4900, "currency": "EUR"}, "push"
    for event_type in islice(rest, max(1, number // _PULLED_EVERY)):
        yield event_type, {"name": f"{event_type.title} (old name)"}, "pull"
    for event_type in islice(rest, max(1, number // _CONFLICT_EVERY)):
        yield event_type, {"duration_minutes": event_type.duration_minutes + 10}, ""
    for event_type in islice(rest, number // _HIDDEN_EVERY):
        yield event_type, {"is_active": False}, "push"
    for event_type in rest:
        yield event_type, {}, ""


def _of_our_own(*, new: int) -> Iterator[dict[str, Any]]:
    for place, name in enumerate(_NEW[:new]):
        slug = name.lower().replace(" ", "-")
        yield {"name": name, "slug": slug, "duration_minutes": 30 + 15 * (place % 3), "description": f"{name}, on site"}
    yield {"name": "Bike fitting", "slug": "bike-fitting", "duration_minutes": 0}
    yield {
        "name": "Brochure",
        "slug": "brochure",
        "duration_minutes": 30,
        "description": "Everything about our workshop. ".ljust(_BROCHURE_CHARACTERS, "."),
    }
    yield {"name": "Not offered any more", "slug": "not-offered", "duration_minutes": 30, "is_active": False}
