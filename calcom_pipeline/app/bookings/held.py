"""Book a start that is held, and release it.

Cal.com ties no booking to a hold (fact sheet 5.2). So the booking is made while the hold still keeps others from seeing
the start, and the hold is released afterwards: one that stayed would close the time after a booking is cancelled.
"""

from dataclasses import replace

from calcom_pipeline.app.availability.holds import Holds
from calcom_pipeline.app.bookings.commands import Appointment, Appointments
from calcom_pipeline.domain.bookings.requests import BookingRequest
from calcom_pipeline.domain.errors import CalcomError


def book_held(appointments: Appointments, holds: Holds, request: BookingRequest, *, hold_uid: str) -> Appointment:
    """Book, then release the hold. The booking is what counts: trouble with the hold, which expires, is reported.

    Raises: what `Appointments.book` does; the hold then stays as it is.
    """
    made = appointments.book(request)
    try:
        released = holds.release(hold_uid)
    except CalcomError as error:
        return replace(made, hold_problem=f"{error}; the hold ends by itself")
    problem = made.cache_problem or released.cache_problem
    cleared = made.cached_days_cleared + released.cached_days_cleared
    return replace(made, cached_days_cleared=cleared, cache_problem=problem)
