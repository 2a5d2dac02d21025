"""Reading ahead leaves the process as it was."""

import gc

from calcom_pipeline.app.bookings.prefetch import heap_at_rest


def test_two_reads_that_overlap_leave_the_collector_as_it_was():
    usual = gc.get_threshold()
    first, second = heap_at_rest(), heap_at_rest()
    first.__enter__()
    second.__enter__()
    assert gc.get_threshold() != usual
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert gc.get_threshold() == usual
