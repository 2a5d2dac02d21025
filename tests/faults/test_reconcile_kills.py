"""Planning and applying, killed for real at seeded moments while both sides are edited: nothing is lost or doubled.

A process plans and applies over and over. In every round both sides are edited while nobody is at work, the process
starts, is edited around while it works, and is killed at a seeded moment. The model keeps each field's latest edit.
Edits of the same field between our look and our PATCH are the one thing nobody can see; so, while the process works,
Cal.com's side changes only fields that the service's side never changes. In between anything may change on both.
"""

import json
import random
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from calcom_pipeline.adapters.postgres.services.store import PostgresServiceStore
from calcom_pipeline.app.event_types.mirror import TeamChoice
from calcom_pipeline.app.services.planning import OwnerListing, decide_now
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.services.fields import Value, local_values, remote_values
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.services.plans import DOING, Plan
from tests.faults import roles
from tests.faults.harness import Site, machine, site
from tests.support.clients import ROOMY

SUPPORT = 301
#: A request that was on its way when its sender died is answered by then.
UNDER_WAY_SECONDS = 0.05
QUIET_SYNCS = 8
WIRE = {
    "title": "title",
    "slug": "slug",
    "duration_minutes": "lengthInMinutes",
    "description": "description",
    "before_buffer_minutes": "beforeEventBuffer",
}
COLUMNS = {"title": "name", "slug": "slug", "duration_minutes": "duration_minutes", "hidden": "is_active"}
#: Changed by the service's side never, so Cal.com's side may change them at any moment.
THEIRS = ("description", "before_buffer_minutes")
WRITES = ("POST", "PATCH", "DELETE")


@dataclass
class Sides:
    """Both sides, edited at random, and what is known of them."""

    here: Site
    dice: random.Random
    latest: dict[tuple[str, str], Value] = field(default_factory=dict)
    edits: Counter[str] = field(default_factory=Counter)
    strangers: set[int] = field(default_factory=set)
    #: Titles of event types that somebody made by hand: nobody decided about them, so they stay.
    titles: dict[int, Value] = field(default_factory=dict)
    wanted_slugs: list[str] = field(default_factory=list)
    made: int = 0

    def __post_init__(self) -> None:
        self.strangers |= {e["id"] for e in self.here.sandbox.control.account()["eventTypes"]}

    # --- looking -----------------------------------------------------------------------------------------

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self.here.database() as database, database.transaction("Testing") as cursor:
            cursor.execute(query, values or None)  # type: ignore[arg-type]  # a test's own statement
            return cursor.fetchall() if cursor.description else []

    def services(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT id::text FROM services ORDER BY services.id")]

    def linked_types(self) -> dict[str, int]:
        return dict(self.rows("SELECT service_id, event_type_id FROM service_links WHERE event_type_id IS NOT NULL"))

    # --- edits -------------------------------------------------------------------------------------------

    def value(self, name: str) -> Value:
        self.made += 1
        if name in ("duration_minutes", "before_buffer_minutes"):
            return self.made % 1400 + 1
        return f"{name}-{self.made}"

    def add_service(self) -> None:
        slug = self.wanted_slugs.pop() if self.wanted_slugs and self.dice.random() < 0.7 else str(self.value("slug"))
        team = SUPPORT if self.dice.random() < 0.25 else None
        columns = "name, slug, duration_minutes, description, before_buffer_minutes, team_id"
        values = (f"Service {self.made}", slug, 30, "", 0, team)
        insert = f"INSERT INTO services ({columns}) VALUES (%s, %s, %s, %s, %s, %s) RETURNING id::text"
        ((service_id,),) = self.rows(insert, *values)
        given = {"title": values[0], "slug": slug, "duration_minutes": 30, "description": "", "hidden": False}
        self.latest |= {(service_id, name): value for name, value in {**given, "before_buffer_minutes": 0}.items()}
        self.edits["services added"] += 1

    def add_stranger(self) -> None:
        """Somebody makes an event type by hand, under a slug that a service is about to get, or has just got."""
        slug = str(self.value("slug"))
        if self.dice.random() < 0.3:
            ((slug,),) = self.rows("SELECT slug FROM services ORDER BY id DESC LIMIT 1")
        else:
            self.wanted_slugs.append(slug)
        body = {"title": "Stranger", "slug": slug, "lengthInMinutes": 20}
        headers = {"Authorization": f"Bearer {self.here.place.key}", "cal-api-version": "2024-06-14"}
        made = requests.post(f"{self.here.place.url}/event-types", json=body, headers=headers, timeout=10)
        if made.status_code == requests.codes.created:  # else the slug is taken
            self.strangers.add(made.json()["data"]["id"])
            self.titles[made.json()["data"]["id"]] = "Stranger"
            self.edits["strangers"] += 1

    def edit_here(self) -> None:
        service_id, name = self.dice.choice(self.services()), self.dice.choice(list(COLUMNS))
        if name == "hidden":  # two values cannot tell an edit from its undoing, so this side alone changes it
            update = "UPDATE services SET is_active = NOT is_active WHERE id::text = %s RETURNING NOT is_active"
            ((self.latest[service_id, name],),) = self.rows(update, service_id)
        else:
            value = self.latest[service_id, name] = self.value(name)
            self.rows(f"UPDATE services SET {COLUMNS[name]} = %s WHERE id::text = %s", value, service_id)
        self.edits["edits here"] += 1

    def edit_there(self, names: tuple[str, ...]) -> None:
        linked = self.linked_types()
        service_id, name = self.dice.choice(sorted(linked)), self.dice.choice(names)
        value = self.value(name)
        self.here.sandbox.control.mutate("update_event_type", id=linked[service_id], set={WIRE[name]: value})
        self.latest[service_id, name] = value
        if name == "title" and linked[service_id] in self.titles:
            self.titles[linked[service_id]] = value
        self.edits["edits at Cal.com"] += 1

    def delete_service(self) -> None:
        service_id = self.dice.choice(self.services())
        self.rows("DELETE FROM services WHERE id::text = %s", service_id)
        self.edits["services deleted"] += 1

    def between(self) -> None:
        """What happens while nobody is at work: anything, on both sides."""
        for _ in range(self.dice.randint(1, 4)):
            chance = self.dice.random()
            if chance < 0.08 or len(self.services()) < 6:
                self.add_service()
            elif chance < 0.13:
                self.add_stranger()
            elif chance < 0.15:
                self.delete_service()
            elif chance < 0.6 or not self.linked_types():
                self.edit_here()
            else:
                self.edit_there(tuple(WIRE))

    def meanwhile(self) -> None:
        """What happens while a process plans and applies."""
        chance = self.dice.random()
        if chance < 0.1:
            self.add_service()
        elif chance < 0.2:
            self.add_stranger()
        elif chance < 0.6 or not self.linked_types():
            self.edit_here()
        else:
            self.edit_there(THEIRS)


@dataclass(frozen=True)
class End:
    """How both sides stand, and what the planner says of them."""

    listing: OwnerListing
    plan: Plan
    store: PostgresServiceStore

    def open_fields(self) -> dict[str, set[str]]:
        told: dict[str, set[str]] = {}
        for action in self.plan.actions:
            names = {d.field for d in action.fields if d.verdict == "conflict"}
            told[action.service_id] = names if names and action.kind == "conflict" else {"*"}
        return told

    def links(self) -> dict[str, Link]:
        return {link.service_id: link for link in self.store.links()}

    def event_types(self) -> dict[int, EventType]:
        return {e.id: e for e in self.listing.event_types()}


def told_by(here: Site, name: str) -> list[dict[str, Any]]:
    file = here.place.folder / f"{name}.jsonl"
    return [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []


def times_told(here: Site, name: str, what: str) -> int:
    return sum(line["what"] == what for line in told_by(here, name))


def wait_until_told(here: Site, name: str, what: str, *, count: int = 1) -> None:
    end = time.monotonic() + 60
    while times_told(here, name, what) < count:
        assert time.monotonic() < end, f"{name} did not get to {what}"
        time.sleep(0.002)


def length_of_a_sync(here: Site) -> float:
    """Seconds from the beginning of a plan to the end of its apply, here and now."""
    quiet_syncs(here, 1, seconds=0.0)
    return next(line["at"] for line in here.told("applied")) - next(line["at"] for line in here.told("planning"))


def kills(here: Site, sides: Sides, count: int) -> Counter[str]:
    """So many rounds, each ended by SIGKILL somewhere in a sync; in which step it came."""
    longest = length_of_a_sync(here)
    places: Counter[str] = Counter()
    with here.crew() as crew:
        for number in range(count):
            sides.between()
            crew.hire(roles.reconciler)
            name = f"reconciler-{number}"
            wait_until_told(here, name, "planning")
            began, end = time.monotonic(), sides.dice.uniform(0, longest)
            for moment in sorted(sides.dice.uniform(0, end) for _ in range(sides.dice.randint(0, 2))):
                time.sleep(max(0.0, began + moment - time.monotonic()))
                sides.meanwhile()
            time.sleep(max(0.0, began + end - time.monotonic()))
            crew.dismiss()
            places[told_by(here, name)[-1]["what"]] += 1
            time.sleep(UNDER_WAY_SECONDS)
        assert crew.killed == count
    return places


def quiet_syncs(here: Site, count: int = QUIET_SYNCS, *, seconds: float = 0.5) -> None:
    """A process syncs undisturbed, so many times and so long: a create in doubt waits for its grace of 0.3 s."""
    with here.crew() as crew:
        before = times_told(here, "undisturbed-0", "applied")
        crew.hire(roles.undisturbed)
        time.sleep(seconds)
        wait_until_told(here, "undisturbed-0", "applied", count=before + count)


def ending(here: Site, store: PostgresServiceStore) -> End:
    with roles.Desk(here.place, "auditor", 1).calcom() as calcom:
        listing, plan = decide_now(calcom, store, TeamChoice(), rules=roles.RECONCILING, now=datetime.now(UTC))
    return End(listing, plan, store)


def check(sides: Sides, end: End) -> dict[str, set[str]]:
    """Both sides are equal or a person is told, no edit is lost, no event type has a twin; what is told."""
    assert not [a for a in end.plan.actions if a.kind in DOING], "after the quiet syncs nothing is left to do"
    told, links, types = end.open_fields(), end.links(), end.event_types()
    rows = {row.id: row for row in end.store.services()}
    for row in rows.values():
        link = links.get(row.id)
        found = types.get(link.event_type_id) if link and link.event_type_id else None
        open_fields = told.get(row.id, set())
        if found is None:
            assert open_fields or not row.is_active, f"service {row.id} has no event type and nobody is told"
            continue
        remote = remote_values(found)
        for name, value in local_values(row).items():
            if not open_fields & {name, "*"}:
                assert value == remote[name], f"{row.id}.{name} differs and nobody is told"
                assert value == sides.latest[row.id, name], f"{row.id}.{name} lost an edit"
    linked = [link.event_type_id for link in links.values() if link.event_type_id is not None]
    assert len(linked) == len(set(linked))
    made = set(types) - sides.strangers
    unsure = [a for a in end.plan.actions if "an earlier create may have become" in a.reason]
    assert len(made - set(linked)) <= len(unsure), f"event types {made - set(linked)} were made and forgotten"
    for number, title in sides.titles.items():
        assert types[number].title == title, f"event type {number} of somebody else was overwritten"
    for link in links.values():
        if link.service_id not in rows and link.event_type_id in types:
            assert types[link.event_type_id].hidden, "an event type of a deleted service can still be booked"
    return told


def writes(here: Site) -> int:
    """Requests that write, of everybody."""
    endpoints = here.sandbox.control.counters()["endpoints"]
    return sum(sum(statuses.values()) for name, statuses in endpoints.items() if name.split()[0] in WRITES)


def storm(count: int, *, seed: int) -> str:
    """Kill so many times, come to rest, check everything; the figures in a sentence."""
    with site(key="alice", budget=ROOMY, with_database=True) as here, here.database() as database:
        store, sides = PostgresServiceStore(database), Sides(here, random.Random(seed))
        for _ in range(8):
            sides.add_service()
        places = kills(here, sides, count)
        quiet_syncs(here)
        told = check(sides, ending(here, store))
        before, versions = writes(here), sides.rows("SELECT id, row_version FROM services ORDER BY id")
        quiet_syncs(here, 3)
        assert writes(here) == before, "an unchanged account is not written"
        assert sides.rows("SELECT id, row_version FROM services ORDER BY id") == versions
        here.audit()
        gaps = [line["gap"] for line in here.told("applied") if line["gap"]]
        conflicts = sum(len(names - {"*"}) for names in told.values())
        return (
            f"{count} kills ({dict(places)}), {dict(sides.edits)}, {len(store.services())} services at the end, "
            f"{conflicts} fields told as conflicts, {sum('*' in n for n in told.values())} services told otherwise; "
            f"listing to last write of a batch: median {statistics.median(gaps) * 1000:.0f} ms, "
            f"longest {max(gaps) * 1000:.0f} ms ({machine()})"
        )


@pytest.mark.timeout(120)
def test_kills_and_edits_at_any_moment_lose_nothing_and_double_nothing():
    storm(8, seed=3)


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_proof_two_hundred_kills_and_edits_at_any_moment_lose_nothing_and_double_nothing():
    print(f"\n{storm(200, seed=11)}")
