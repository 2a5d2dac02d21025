"""Checks of free times."""

import dagster as dg

from calcom_pipeline.app.reports.caches import LONGEST_WAIT, CacheNow, cache_now
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.markdown import shown


def cache_right(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """By shadow reads of today and yesterday; what external calendars do is seen only when a day's life is over."""
    with dagster_failures("Looking at cached free times"):
        now = cache_now(
            container.availability.shadow_book,
            container.reports.figures,
            allowed_rate=container.settings.slot_wrong_rate,
            now=utc_now(),
        )
    counts = now.shadow
    return dg.AssetCheckResult(
        passed=now.is_right,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(_sentences(now)),
        metadata={
            "wrong-slot rate": round(counts.wrong_rate, 6),
            "wrong-slot rate allowed": now.allowed_rate,
            "answers compared": counts.answers,
            "days compared": counts.days,
            "starts compared": counts.starts,
            "wrong starts": counts.wrong_starts,
            "seconds that the oldest change has waited": round(now.behind.total_seconds()),
        },
    )


def _sentences(now: CacheNow) -> list[str]:
    counts = now.shadow
    if now.unread:
        return [f"Redis cannot be asked: {shown(now.unread)} Every question goes to Cal.com meanwhile."]
    sentences = [f"{counts.wrong_starts} of {counts.starts} cached starts were otherwise at Cal.com since yesterday."]
    if not counts.starts:
        sentences = ["No cached answer was compared with Cal.com since yesterday (CALCOM_SLOT_SHADOW_SHARE)."]
    if counts.wrong_rate > now.allowed_rate:
        sentences.append(
            "That is more than CALCOM_SLOT_WRONG_RATE: shorten CALCOM_SLOT_TTL_SECONDS, or look for what is"
        )
        sentences.append("changed at Cal.com without a webhook.")
    if now.behind > LONGEST_WAIT:
        minutes = now.behind.total_seconds() / 60
        sentences.append(
            f"A change has waited {minutes:.0f} minutes to reach the cache: look at job cache_invalidation."
        )
    return sentences


def checks(account: Account) -> list[dg.AssetChecksDefinition]:
    """The one of an account."""
    right = dg.asset_check(
        asset=account.key("slots"),
        description="Cached free times are what Cal.com shows, and changes reach them within minutes.",
    )
    return [right(account.given_to(cache_right))]
