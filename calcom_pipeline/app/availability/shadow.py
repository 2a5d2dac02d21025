"""Shadow reads: some answers from the cache are compared with Cal.com's own answer to the same question."""

import logging
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from calcom_pipeline.app.availability.lookup import Background
from calcom_pipeline.app.availability.ports import LookupCache, ShadowBook, ShadowCounts, SlotApi
from calcom_pipeline.app.availability.window import Window, respelled, spelled
from calcom_pipeline.domain.availability.models import SlotDay, SlotKey
from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.domain.zones import zone_of

_LOG = logging.getLogger(__name__)


class ShadowReads:
    """Compares a share of cached answers, behind them. Safe to share among threads."""

    def __init__(
        self,
        *,
        calcom: SlotApi,
        cache: LookupCache,
        book: ShadowBook,
        background: Background,
        share: float,
        now: Callable[[], datetime],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._calcom = calcom
        self._cache = cache
        self._book = book
        self._background = background
        self._share = share
        self._now = now
        self._chance = chance

    def seen(self, window: Window, days: Mapping[SlotKey, SlotDay]) -> None:
        """These days were answered from the cache; some are looked after. Never raises, never waits."""
        if days and self._chance() < self._share:
            with suppress(RuntimeError):  # closing: nothing new is begun
                self._background.submit(self._compare, window, dict(days))

    def _compare(self, window: Window, days: Mapping[SlotKey, SlotDay]) -> None:
        """Days after the one in which the minimum notice ends: that one is a function of now."""
        number = window.event_type.id
        notice = timedelta(minutes=window.event_type.minimum_notice_minutes)
        ends = (self._now() + notice).astimezone(zone_of(window.event_type.zone)).date()
        keys = [key for key in window.keys if key.day > ends and key in days]
        if not keys:
            return
        try:
            before = self._cache.generations([number])[number]
            query = respelled(spelled(window.query(keys), before))
            live = {day.key: day for day in self._calcom.free_days(query)}
            after = self._cache.generations([number])[number]
            if before.number != after.number or before.settles_seconds or after.settles_seconds:
                return  # it changed just now: neither side is to blame
            counts = compared({key: days[key] for key in keys}, live)
            self._book.add(counts)
        except PipelineError as error:
            _LOG.info("No shadow read of event type %s: %s", number, error)
            return
        if counts.wrong_starts:
            wrong = f"{counts.wrong_starts} of {counts.starts}"
            _LOG.warning("Event type %s: %s starts were cached otherwise than Cal.com shows them", number, wrong)


def compared(cached: Mapping[SlotKey, SlotDay], live: Mapping[SlotKey, SlotDay]) -> ShadowCounts:
    """Count what may be booked on both sides; days that could not be read alive are left out."""
    both = [key for key in cached if key in live]
    starts = wrong = 0
    for key in both:
        ours, theirs = ({slot.start for slot in side[key].free} for side in (cached, live))
        starts += len(ours | theirs)
        wrong += len(ours ^ theirs)
    return ShadowCounts(answers=1, days=len(both), starts=starts, wrong_starts=wrong)
