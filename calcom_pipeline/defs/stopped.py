"""An account whose settings are wrong: it has nothing but an asset and a check that say so, and the others load.

Nobody has to start anything to see it: a sensor records the check as failed within a minute, with the reasons.
"""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

import re
from collections.abc import Callable
from dataclasses import dataclass

import dagster as dg

from calcom_pipeline.defs.account import OWNERS
from calcom_pipeline.defs.timing import least_distance
from calcom_pipeline.domain.text import short_hash

_LOOK_SECONDS = 60
#: The check of an account that stands still.
CHECK = "settings_are_right"
_MENDED = "The settings are right now: reload the code location."


@dataclass(frozen=True, slots=True)
class StoppedAccount:
    """`problems` are those at load; `look` says what is wrong by now."""

    name: str
    problems: list[str]
    look: Callable[[], list[str]]

    @property
    def key(self) -> dg.AssetKey:
        """The asset that stands for it."""
        return dg.AssetKey([self.identifier, "account"])

    @property
    def identifier(self) -> str:
        """Its name in the alphabet of Dagster's names; a folder may be called anything."""
        plain = re.sub(r"[^A-Za-z0-9_]", "_", self.name)
        return plain if plain == self.name else f"{plain}_{short_hash(self.name)}"


def definitions_of_stopped(account: StoppedAccount) -> dg.Definitions:
    """What a location shows of it."""
    spec = dg.AssetSpec(
        account.key,
        description="Stopped: this account's settings are wrong, and nothing of it runs.\n\n"
        + "\n".join(f"* {problem}" for problem in account.problems),
        group_name="stopped_accounts",
        owners=OWNERS,
        kinds={"calcom"},
    )

    @dg.asset_check(asset=account.key, name=CHECK, description="The account's settings can be used.")
    def settings_are_right() -> dg.AssetCheckResult:
        problems = account.look()
        return dg.AssetCheckResult(passed=not problems, description=_problem_text(problems))

    return dg.Definitions(assets=[spec], asset_checks=[settings_are_right], sensors=[_sensor(account)])


def _sensor(account: StoppedAccount) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{account.identifier}_is_stopped",
        minimum_interval_seconds=least_distance(_LOOK_SECONDS),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Records that the settings of this account are wrong, whenever something else is wrong with them.",
    )
    def is_stopped(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        problems = account.look()
        found = short_hash(_problem_text(problems))
        if context.cursor == found:
            return dg.SensorResult(skip_reason=_problem_text(problems))
        evaluation = dg.AssetCheckEvaluation(
            asset_key=account.key, check_name=CHECK, passed=not problems, description=_problem_text(problems)
        )
        return dg.SensorResult(asset_events=[evaluation], cursor=found)

    return is_stopped


def _problem_text(problems: list[str]) -> str:
    return "; ".join(problems) or _MENDED
