"""The doctor's looks at what the pipeline itself holds: positions, creates in doubt, whether it writes unasked."""

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.domain.errors import StoreError


def positions(container: Container) -> str:
    """Which reads stand in the future."""
    try:
        ahead = container.reports.overview.positions_ahead()
    except StoreError:
        return "note: PostgreSQL could not be asked"  # why, its own line says
    if not ahead:
        return "none lies in the future"
    named = "; ".join(f"{p.stream} {p.partition} at {p.instant:%Y-%m-%d %H:%M:%S} UTC" for p in ahead)
    raise StoreError(
        f"Reads of these stand in the future, so what changes until then is missed: {named}",
        advice="Set all clocks by NTP. The next `sync all` reads them anew; `backfill --again` does so for months.",
    )


def outcomes(container: Container) -> str:
    """How many creates nobody knows the end of."""
    count = len(container.bookings.in_doubt.still_open())
    if count:
        return f"note: of {count} bookings nobody knows yet whether they were made; the next sync finds out"
    return "none"


def standing(container: Container) -> str:
    """What schedules, sensors and warming cost, and what of them is stretched."""
    try:
        found = container.maintenance.standing_calls
    except StoreError:
        return "note: PostgreSQL could not be asked"  # why, its own line says
    summary = f"about {found.per_minute:.0f} of {found.rules.limit:g} calls a minute by schedules, sensors and warming"
    why = "; ".join(found.why(work) for work in found.stretched)
    return f"note: {summary}; {why}" if why else summary


def writing(container: Container) -> str:
    """Whether plans are written by themselves."""
    if container.services.apply_mode == "auto":
        return "changes are written to Cal.com by themselves" + (
            " (the sandbox)" if container.endpoints.is_sandbox else " (CALCOM_APPLY=auto)"
        )
    return "nothing is written to Cal.com unless a plan is applied by name (CALCOM_APPLY=plan)"
