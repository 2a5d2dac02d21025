"""Bookings: the mirror with its people and its quarantine, and what books exactly once."""

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.adapters.postgres.bookings.in_doubt import PostgresOutcomeStore
    from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
    from calcom_pipeline.adapters.postgres.bookings.overview import PostgresBookingOverview
    from calcom_pipeline.adapters.postgres.bookings.privacy import Eraser
    from calcom_pipeline.adapters.postgres.bookings.quarantine import PostgresQuarantine
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks
    from calcom_pipeline.app.bookings.mirror import BookingOptions
    from calcom_pipeline.domain.bookings.people import People


class BookingGroup:
    """What use cases about bookings work with."""

    def __init__(self, settings: Settings, database: "Database") -> None:
        self._settings = settings
        self._database = database

    @cached_property
    def mirror(self) -> "PostgresBookingMirror":
        """The table `bookings` and those of its people; reads the key that people are hashed with."""
        return self.new_mirror()

    def new_mirror(self) -> "PostgresBookingMirror":
        """Another one, for a thread of its own."""
        from calcom_pipeline.adapters.calcom.bookings.rows import replayed
        from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
        from calcom_pipeline.adapters.postgres.bookings.privacy import Classifier, Tightener
        from calcom_pipeline.adapters.postgres.bookings.store import MirrorOptions

        options = MirrorOptions(timedelta(days=self._settings.cached_slot_days), self.options.keep_past)
        return PostgresBookingMirror(
            self._database,
            people=self.people,
            options=options,
            classifier=Classifier(self._database, replayed),
            tightener=Tightener(self._database, self.people, replayed),
        )

    @cached_property
    def people(self) -> "People":
        """How the people in bookings are kept."""
        from calcom_pipeline.adapters.postgres.bookings.privacy import load_pseudonyms
        from calcom_pipeline.domain.bookings.people import People

        key = self._settings.privacy_key
        pseudonyms = load_pseudonyms(self._database, key.get_secret_value().encode() if key else None)
        return People(self._settings.attendee_policy, pseudonyms)

    @cached_property
    def eraser(self) -> "Eraser":
        """Takes a person out of what is stored."""
        from calcom_pipeline.adapters.calcom.bookings.rows import replayed
        from calcom_pipeline.adapters.postgres.bookings.privacy import Eraser

        return Eraser(self._database, self.people, replayed)

    @cached_property
    def overview(self) -> "PostgresBookingOverview":
        """What people and checks ask about bookings."""
        from calcom_pipeline.adapters.postgres.bookings.overview import PostgresBookingOverview

        return PostgresBookingOverview(self._database)

    @cached_property
    def quarantine(self) -> "PostgresQuarantine":
        """Bookings that could not be read."""
        from calcom_pipeline.adapters.postgres.bookings.quarantine import PostgresQuarantine

        return PostgresQuarantine(self._database)

    @cached_property
    def in_doubt(self) -> "PostgresOutcomeStore":
        """Bookings of which nobody knows yet whether they were made."""
        from calcom_pipeline.adapters.postgres.bookings.in_doubt import PostgresOutcomeStore

        return PostgresOutcomeStore(self._database)

    @cached_property
    def key_locks(self) -> "PostgresKeyLocks":
        """One booking at a time under one key; another is waited for as long as its create may take."""
        from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks

        return PostgresKeyLocks(self._database, wait_seconds=self._settings.create_timeout_seconds)

    @property
    def options(self) -> "BookingOptions":
        """How bookings are read."""
        from calcom_pipeline.app.bookings.access_scope import ListingChoice
        from calcom_pipeline.app.bookings.mirror import BookingOptions

        s = self._settings
        return BookingOptions(
            page_size=s.booking_page_size,
            overlap=timedelta(seconds=s.booking_overlap_seconds),
            choice=ListingChoice(s.booking_team_lists, s.team_ids, s.team_slug, s.organization_id),
            roles_every=timedelta(seconds=s.booking_roles_seconds),
            reread_past=timedelta(days=s.booking_reread_past_days),
            reread_future=timedelta(days=s.booking_reread_future_days),
            proofs=s.booking_proofs,
            keep_past=None if s.booking_retention_days is None else timedelta(days=s.booking_retention_days),
            clock_tolerance=timedelta(seconds=s.clock_tolerance_seconds),
            calls_per_minute=s.rate_limit_per_minute - s.rate_safety_requests - s.rate_reserve_requests,
        )
