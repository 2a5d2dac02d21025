"""Where and when the generated bookings are: columns from the seed, nothing of them rendered.

A unit is an hour of one weekday in a block of four weeks, in one host's calendar; it holds four bookings, one a week,
so that a weekly series or a chain of moves fits into it. Units are drawn without repetition, so no host is booked
twice; the last hour of the day belongs to the types whose hosts come together.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calcom_pipeline.sandbox.accounts.generation.hashing import Hashes, Ints
from calcom_pipeline.sandbox.accounts.generation.offers import HostedType
from calcom_pipeline.sandbox.accounts.generation.people import OPENS
from calcom_pipeline.sandbox.core.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, moment_of, utc_offset_minutes
from calcom_pipeline.sandbox.state.columns import NO_ID, STATUS_CODES, Columns
from calcom_pipeline.sandbox.state.sorting import NULL_KEY
from calcom_pipeline.sandbox.state.world import World

WEEKS: Final = 4  # of a block, and bookings of a unit
_WEEKDAYS: Final = 5
_OWN_HOURS: Final = 7  # 9 to 16, for types with one host
_SHARED_HOUR: Final = 7  # 16 to 17, for collective types
_FILL: Final = 0.7  # share of the calendars that is booked
_SHARED_SHARE: Final = 0.04
_MOST_FUTURE_BLOCKS: Final = 6
_MOST_PAST_WEEKS: Final = 30 * 52  # so that no booking lies before 1970
_DAYS_PER_WEEK: Final = 7
_HOUR: Final = 60

# Salts of the hashes, one for each thing that is drawn.
_UNIT_KIND, _TYPE, _OFFSET, _LEAD, _AGE, _MOVED, _STATUS, _CHANGED, _ABSENT = range(101, 110)
_PERMUTED: Final = 7
SERIES, PLAIN, FIRST_MOVES, TWO_MOVES, LATER_MOVES = range(5)
_KIND_SHARES: Final = ((5, SERIES), (14, FIRST_MOVES), (19, TWO_MOVES), (27, LATER_MOVES), (100, PLAIN))
_PERCENT: Final = 100
_LONGEST_LEAD_MS: Final = 40 * DAY_MS
_OLDEST_OPEN_MS: Final = 30 * DAY_MS
_BULK_AGE_MS: Final = 20 * DAY_MS
_MOST_BULK: Final = 600
_NULL_SHARE: Final = 100  # one of so many rows, the oldest ones, has no update time
_BULK_SHARE: Final = 40
# How bookings end, in thousandths: cancelled below the first, rejected from the second; those in between that need
# a confirmation wait for it, more of them before they begin than after.
_CANCELLED_PERMILLE, _REJECTED_FROM, _OPEN_BELOW, _STALE_BELOW = 110, 940, 400, 130
# The same of types that ask for no confirmation any more: some were rejected, some waited until they were over.
_ONCE_REJECTED_FROM, _ONCE_STALE_FROM = 990, 985


@dataclass(slots=True)
class Layout:
    """Columns by position, and what the details of a row are drawn from.

    `raw` is a row's number by unit and week, `place` the way back; `head` the first row of its series or chain.
    """

    columns: Columns
    raw: Ints
    place: Ints
    head: Ints
    offer: Ints
    level: NDArray[np.int8]  # how many moves lie behind a row
    moves_on: NDArray[np.bool_]  # whether the row was moved to the next
    absent: NDArray[np.bool_]
    units: int


def lay_out(world: World, offers: list[HostedType], hashes: Hashes, count: int, now: int) -> Layout:
    """The columns of `count` bookings of these offers, as of `now`."""
    calendars = _Calendars(world, offers)
    units = -(-count // WEEKS)
    drawn = _draw_units(calendars, hashes, units)
    raw = np.arange(units * WEEKS, dtype=np.int64)[:count]
    unit, week = raw // WEEKS, raw % WEEKS
    kind = _kinds(hashes, units, count)
    has_series = calendars.series_count[drawn.calendar] > 0
    kind = np.where((kind == SERIES) & ~has_series, PLAIN, kind)[unit]
    level = _levels(kind, week)
    head = np.where(kind == SERIES, unit * WEEKS, raw - level)
    offer = calendars.choose(hashes, drawn.calendar[unit], head, kind == SERIES)
    length = calendars.lengths[offer]
    start = _starts(calendars, drawn, unit, week, now) + (
        hashes.below(head, _OFFSET, np.maximum(_HOUR // length, 1)) * length * MINUTE_MS
    )
    moves_on = np.zeros(count, dtype=np.bool_)
    moves_on[:-1] = level[1:] > 0
    created = _created(hashes, start, head, level, kind == SERIES, now)
    status, updated = _outcomes(hashes, calendars.confirmed[offer], start, created, moves_on, now)
    absent = (status == STATUS_CODES["accepted"]) & (start < now) & (hashes.below(raw, _ABSENT, 40) == 0)
    ended = start + length * MINUTE_MS
    updated = np.where(absent, np.minimum(ended + 10 * MINUTE_MS + raw % SECOND_MS, now), updated)
    order = np.argsort(created, kind="stable").astype(np.int64)
    place = np.empty(count, dtype=np.int64)
    place[order] = raw
    in_order = updated[order]
    _age(in_order, now)
    alive = np.ones(count, dtype=np.bool_)
    columns = Columns(
        start=start[order],
        end=ended[order],
        created=created[order],
        updated=in_order,
        status=status[order],
        event_type=calendars.type_ids[offer][order],
        user=calendars.organizers(offer, drawn.calendar[unit])[order],
        is_series=(kind == SERIES)[order],
        alive=alive,
        changed=np.zeros(count, dtype=np.bool_),
    )
    return Layout(columns, order, place, head, offer, level, moves_on, absent, units)


class _Calendars:
    """Whose hours there are: one calendar a host, then one a team with collective types."""

    def __init__(self, world: World, offers: list[HostedType]) -> None:
        self.lengths = np.array([one.event_type.length for one in offers], dtype=np.int64)
        self.type_ids = np.array([one.event_type.id for one in offers], dtype=np.int64)
        self.confirmed = np.array([bool(one.event_type.confirmation) for one in offers], dtype=np.bool_)
        self._first_host = np.array([one.hosts[0] for one in offers], dtype=np.int64)
        alone = [number for number, one in enumerate(offers) if one.kind != "collective"]
        hosts = sorted({host for number in alone for host in offers[number].hosts})
        shared = sorted({one.event_type.team_id or NO_ID for one in offers if one.kind == "collective"})
        self.host_count, self.shared_count = len(hosts), len(shared)
        series: list[list[int]] = []
        single: list[list[int]] = []
        for host in hosts:
            own = [number for number in alone if host in offers[number].hosts]
            series.append([number for number in own if offers[number].event_type.recurrence])
            single.append([number for number in own if not offers[number].event_type.recurrence] or own)
        for team_id in shared:
            series.append([])
            single.append([n for n, one in enumerate(offers) if one.kind == "collective"
                           and one.event_type.team_id == team_id])  # fmt: skip
        zones = [world.users[host].time_zone for host in hosts]
        zones += [world.users[offers[choices[0]].hosts[0]].time_zone for choices in single[len(hosts) :]]
        self._hosts = np.array([*hosts, *([NO_ID] * len(shared))], dtype=np.int64)
        self.zone_names = sorted(set(zones))
        self.zones = np.array([self.zone_names.index(zone) for zone in zones], dtype=np.int64)
        self._single, self.single_count = _padded(single)
        self._series, self.series_count = _padded(series)

    def choose(self, hashes: Hashes, calendar: Ints, head: Ints, in_series: NDArray[np.bool_]) -> Ints:
        """The offer of each row; the rows of a group share one."""
        single = self._single[calendar, hashes.below(head, _TYPE, np.maximum(self.single_count[calendar], 1))]
        series = self._series[calendar, hashes.below(head, _TYPE, np.maximum(self.series_count[calendar], 1))]
        return np.where(in_series, series, single)

    def organizers(self, offer: Ints, calendar: Ints) -> Ints:
        """The host of each row; the first one of a collective type."""
        own = self._hosts[calendar]
        return np.where(own == NO_ID, self._first_host[offer], own)


def _padded(lists: list[list[int]]) -> tuple[Ints, Ints]:
    widest = max([len(one) for one in lists], default=0) or 1
    found = np.zeros((len(lists), widest), dtype=np.int64)
    for number, one in enumerate(lists):
        found[number, : len(one)] = one
    return found, np.array([len(one) for one in lists], dtype=np.int64)


@dataclass(slots=True)
class _Units:
    calendar: Ints
    block: Ints
    weekday: Ints
    hour: Ints
    blocks: int


def _draw_units(calendars: _Calendars, hashes: Hashes, units: int) -> _Units:
    per_block = calendars.host_count * _WEEKDAYS * _OWN_HOURS
    shared_per_block = calendars.shared_count * _WEEKDAYS
    blocks = max(-(-units // max(round(per_block * _FILL), 1)), 1)
    shared = min(round(units * _SHARED_SHARE), round(shared_per_block * blocks * _FILL))
    own = units - shared
    drawn = _permuted(hashes, per_block * blocks, own, _PERMUTED)
    rest, hour = np.divmod(drawn, _OWN_HOURS)
    drawn_shared = _permuted(hashes, shared_per_block * blocks, shared, _PERMUTED + 1)
    hours = np.concatenate([hour, np.full(shared, _SHARED_HOUR, dtype=np.int64)])
    rest = np.concatenate([rest, drawn_shared])
    offset = np.concatenate([np.zeros(own, dtype=np.int64), np.full(shared, calendars.host_count, dtype=np.int64)])
    width = np.where(offset > 0, max(calendars.shared_count, 1), max(calendars.host_count, 1))
    rest, weekday = np.divmod(rest, _WEEKDAYS)
    block, calendar = rest // width, rest % width + offset
    mixed = _permuted(hashes, units, units, _PERMUTED + 2)
    return _Units(calendar[mixed], block[mixed], weekday[mixed], hours[mixed], blocks)


def _permuted(hashes: Hashes, total: int, count: int, salt: int) -> Ints:
    """`count` different numbers below `total`, in a random order."""
    keys = np.arange(total, dtype=np.int64)
    return np.argsort(hashes.words(keys, salt), kind="stable")[:count].astype(np.int64)


def _kinds(hashes: Hashes, units: int, count: int) -> Ints:
    drawn = hashes.below(np.arange(units, dtype=np.int64), _UNIT_KIND, _PERCENT)
    bounds = [bound for bound, _ in _KIND_SHARES]
    kinds = np.array([kind for _, kind in _KIND_SHARES], dtype=np.int64)
    found = kinds[np.searchsorted(bounds, drawn, side="right")]
    if count % WEEKS and units:
        found[-1] = PLAIN  # the last unit is not whole
    return found


def _levels(kind: Ints, week: Ints) -> NDArray[np.int8]:
    """How many moves lie behind a row, by the kind of its unit and its week."""
    level = np.zeros((5, WEEKS), dtype=np.int8)
    level[FIRST_MOVES, 1] = 1
    level[TWO_MOVES, 1], level[TWO_MOVES, 2] = 1, 2
    level[LATER_MOVES, 3] = 1
    return level[kind, week]


def _starts(calendars: _Calendars, drawn: _Units, unit: Ints, week: Ints, now: int) -> Ints:
    future = min(-(-drawn.blocks // 2), _MOST_FUTURE_BLOCKS)
    past_weeks = (drawn.blocks - future) * WEEKS
    today = moment_of(now).date()
    if past_weeks > _MOST_PAST_WEEKS:
        raise ValueError("So many bookings do not fit into so few calendars; ask for teams, or for fewer bookings")
    first = today - timedelta(days=today.weekday(), weeks=past_weeks)
    day = (drawn.block[unit] * WEEKS + week) * _DAYS_PER_WEEK + drawn.weekday[unit]
    offsets = _offsets(calendars.zone_names, first, drawn.blocks * WEEKS * _DAYS_PER_WEEK)
    midnight = (datetime(first.year, first.month, first.day) - datetime(1970, 1, 1)).days * DAY_MS  # noqa: DTZ001 - a count of days
    local = midnight + day * DAY_MS + OPENS * MINUTE_MS + drawn.hour[unit] * HOUR_MS
    return local - offsets[calendars.zones[drawn.calendar[unit]], day] * MINUTE_MS


def _offsets(zone_names: list[str], first: date, days: int) -> Ints:
    """Minutes ahead of UTC at noon of each day, by zone."""
    noon = (first - date(1970, 1, 1)).days * DAY_MS + DAY_MS // 2
    found = [[utc_offset_minutes(noon + day * DAY_MS, name) for day in range(days)] for name in zone_names]
    return np.array(found, dtype=np.int64).reshape(len(zone_names), days)


def _created(
    hashes: Hashes, start: Ints, head: Ints, level: NDArray[np.int8], in_series: NDArray[np.bool_], now: int
) -> Ints:
    """A while before the start; the rows of a series one after the other, a moved row when it was moved."""
    raw = np.arange(len(start), dtype=np.int64)
    first_start = start[head]
    lead = HOUR_MS + (hashes.shares(head, _LEAD) ** 2 * _LONGEST_LEAD_MS).astype(np.int64)
    latest = now - MINUTE_MS - (hashes.shares(head, _AGE) ** 2 * _OLDEST_OPEN_MS).astype(np.int64)
    created = np.minimum(first_start - lead, latest) + np.where(in_series, (raw - head) * 40, 0)
    for step in (1, 2):
        moved = np.flatnonzero(level == step)
        before = moved - 1
        until = np.minimum(start[before], now) - created[before]
        share = 0.1 + 0.8 * hashes.shares(moved, _MOVED)
        created[moved] = created[before] + (until * share).astype(np.int64)
    return created


def _outcomes(
    hashes: Hashes, confirmed: NDArray[np.bool_], start: Ints, created: Ints, moves_on: NDArray[np.bool_], now: int
) -> tuple[NDArray[np.uint8], Ints]:
    raw = np.arange(len(start), dtype=np.int64)
    drawn = hashes.below(raw, _STATUS, 1_000)
    status = np.full(len(start), STATUS_CODES["accepted"], dtype=np.uint8)
    status[drawn < _CANCELLED_PERMILLE] = STATUS_CODES["cancelled"]
    status[(start < now) & (drawn >= _ONCE_STALE_FROM)] = STATUS_CODES["pending"]
    status[drawn >= _ONCE_REJECTED_FROM] = STATUS_CODES["rejected"]
    status[confirmed & (drawn >= _REJECTED_FROM)] = STATUS_CODES["rejected"]
    waits = confirmed & (drawn >= _CANCELLED_PERMILLE) & (drawn < np.where(start > now, _OPEN_BELOW, _STALE_BELOW))
    status[waits] = STATUS_CODES["pending"]
    status[moves_on] = STATUS_CODES["cancelled"]
    settled = created + 300 + hashes.below(raw, _CHANGED, 2_200)
    until = np.maximum(np.minimum(start, now) - settled, 0)
    later = settled + (until * hashes.shares(raw, _CHANGED)).astype(np.int64)
    is_late = (status == STATUS_CODES["cancelled"]) | (status == STATUS_CODES["rejected"])
    updated = np.where(is_late, later, settled)
    moved = np.flatnonzero(moves_on)
    updated[moved] = created[moved + 1] - 5
    return status, np.minimum(updated, now)


def _age(updated: Ints, now: int) -> None:
    """The oldest rows have no update time; some more share the one of a change to all of them."""
    count = len(updated)
    nulls = count // _NULL_SHARE
    bulk = min(count // _BULK_SHARE, _MOST_BULK)
    updated[nulls : nulls + bulk] = np.maximum(updated[nulls : nulls + bulk], now - _BULK_AGE_MS)
    updated[:nulls] = NULL_KEY
