"""The two queries of a page of bookings, and what happens between them.

Cal.com first reads the ids of a page in the order that was asked for, then their rows. A booking that changes in
between comes with its new values at its old place: out of order, and past the bounds (fact sheet section 11).
"""

import asyncio
import copy
from typing import TYPE_CHECKING

from calcom_pipeline.sandbox.control import mutations
from calcom_pipeline.sandbox.http.call import SandboxCall
from calcom_pipeline.sandbox.state.sorting import Positions

if TYPE_CHECKING:
    from calcom_pipeline.sandbox.control.faults import Fault


async def second_query(call: SandboxCall, positions: Positions) -> Positions:
    """The positions of a page whose rows are still there at the second query, in the order of the first one.

    In between, other requests are served for the sandbox's `rows_seconds`, and the faults for pages strike.
    """
    table, sandbox = call.world.bookings, call.sandbox
    await asyncio.sleep(sandbox.rows_seconds)
    if sandbox.faults and len(positions) and table is call.world.bookings:
        for fault in sandbox.faults.for_page(call.endpoint, call.who):
            _change(call, fault, positions)
    return positions[table.columns.alive[positions]]


def _change(call: SandboxCall, fault: "Fault", positions: Positions) -> None:
    table = call.world.bookings
    there = positions[table.columns.alive[positions]].tolist()
    uids = [table.at(position).uid for position in fault.pick(there)]
    mutation = copy.deepcopy(fault.mutation) or {"do": "update_bookings"}
    mutations.run(call.sandbox, {**mutation, "uids": uids})
    call.sandbox.writes += 1
