"""Checks of free times."""

import dagster as dg

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.failures import dagster_failures


def cached_answers_are_true(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """By shadow reads of today and yesterday; what external calendars do is seen only when a day's life is over."""
    with dagster_failures("Reading shadow reads"):
        counts = container.availability.shadow_book.lately()
    allowed = container.settings.slot_wrong_rate
    return dg.AssetCheckResult(
        passed=counts.wrong_rate <= allowed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "answers compared": counts.answers,
            "days compared": counts.days,
            "starts compared": counts.starts,
            "wrong starts": counts.wrong_starts,
            "wrong-slot rate": round(counts.wrong_rate, 6),
            "allowed": allowed,
        },
    )


def checks(account: Account) -> list[dg.AssetChecksDefinition]:
    """The one of an account."""
    true = dg.asset_check(asset=account.key("slots"), description="Cached free times are what Cal.com shows.")
    return [true(account.given_to(cached_answers_are_true))]
