"""How wide the gap is in which an edit of the same field goes unseen: from a batch's listing to its last PATCH."""

from datetime import UTC, datetime

import pytest

from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore
from calcom_pipeline.adapters.postgres.services.store import PostgresServiceStore
from calcom_pipeline.adapters.redis.limiter.limiter import Budget
from calcom_pipeline.app.event_types.mirror import TeamChoice
from calcom_pipeline.app.services.actions import ApplyRules
from calcom_pipeline.app.services.apply import ApplyReport, apply_plan
from calcom_pipeline.app.services.planning import PlanRequest, make_plan
from tests.faults.harness import Desk, machine, site
from tests.faults.roles import RECONCILING
from tests.support.clients import ROOMY

SERVICES = 40
LATENCY_SECONDS = 0.15
BATCH = ApplyRules().batch
#: Cal.com's own: 120 a minute, of which two are left unused.
REAL = Budget(120, 2, 2, 60.0, 60.0, 6, 300.0, 1.0, 8)
SECONDS_PER_CALL = REAL.window_seconds / REAL.spendable
#: The listing is made while the batch before it is written, and the next one's goes out between the writes.
CALLS_IN_THE_GAP = 2 * BATCH + 2


def pushed(budget: Budget, **sandbox: int) -> ApplyReport:
    """So many services pushed over a slow line; each changed after both sides had agreed."""
    now = lambda: datetime.now(UTC)  # noqa: E731 - a clock
    with site(key="alice", budget=budget, with_database=True, **sandbox) as here, here.database() as database:
        store, plans = PostgresServiceStore(database), PostgresPlanStore(database)

        def sync(budget: Budget) -> ApplyReport:
            with Desk(here.place, "pusher", 1).calcom(budget=budget) as calcom:
                request = PlanRequest("test", TeamChoice())
                plan, _ = make_plan(calcom, store, plans, request, rules=RECONCILING, now=now)
                return apply_plan(plan, calcom, store, plans, rules=ApplyRules(), now=now)

        for number in range(SERVICES):
            store.insert({"name": "Before", "slug": f"gap-{number}", "duration_minutes": 30})
        assert sync(ROOMY).counts == {"done": SERVICES}
        with database.transaction("Testing") as cursor:
            cursor.execute("UPDATE services SET name = 'After'")
        here.sandbox.control.reset()  # the limit of either side knows nothing of the creates
        here.flush_valkey()
        here.sandbox.control.add_fault("latency", seconds=LATENCY_SECONDS)
        return sync(budget)


@pytest.mark.proof
@pytest.mark.timeout(300)
def test_proof_the_gap_is_as_wide_as_a_batch_takes():
    free, paced = pushed(ROOMY, limit=1_000_000), pushed(REAL)
    assert free.counts == paced.counts == {"done": SERVICES}
    assert free.gap_seconds < BATCH * SECONDS_PER_CALL
    assert paced.gap_seconds < CALLS_IN_THE_GAP * SECONDS_PER_CALL + LATENCY_SECONDS
    print(
        f"\nfrom a batch's listing to its last answer, {SERVICES} pushes at {LATENCY_SECONDS * 1000:.0f} ms: "
        f"without a limit {free.gap_seconds:.2f} s, at 120 calls a minute {paced.gap_seconds:.2f} s ({machine()})"
    )
