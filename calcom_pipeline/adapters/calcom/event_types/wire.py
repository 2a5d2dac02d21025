"""Every member of Cal.com's event types by its wire name, and whether it may be sent: extracted from the API's data.

Cal.com drops what it does not take without a word and answers 200 (capture 27a), so nobody learns from it what may be
written. A test compares these lists with the OpenAPI data where that is at hand, both ways: what Cal.com adds or takes
away is noticed. Which of these fields the pipeline handles, and how, is in `fields.py`.
"""

#: May be sent when an event type is created and when it is changed (version 2024-06-14).
WRITABLE = frozenset(
    [
        "afterEventBuffer",
        "allowReschedulingCancelledBookings",
        "allowReschedulingPastBookings",
        "beforeEventBuffer",
        "bookerActiveBookingsLimit",
        "bookerLayouts",
        "bookingFields",
        "bookingLimitsCount",
        "bookingLimitsDuration",
        "bookingRequiresAuthentication",
        "bookingWindow",
        "calVideoSettings",
        "color",
        "confirmationPolicy",
        "customName",
        "description",
        "destinationCalendar",
        "disableCancelling",
        "disableGuests",
        "disableRescheduling",
        "hidden",
        "hideCalendarEventDetails",
        "hideCalendarNotes",
        "hideOrganizerEmail",
        "interfaceLanguage",
        "lengthInMinutes",
        "lengthInMinutesOptions",
        "locations",
        "lockTimeZoneToggleOnBookingPage",
        "minimumBookingNotice",
        "offsetStart",
        "onlyShowFirstAvailableSlot",
        "recurrence",
        "requiresBookerEmailVerification",
        "scheduleId",
        "seats",
        "showOptimizedSlots",
        "slotInterval",
        "slug",
        "successRedirectUrl",
        "title",
        "useDestinationCalendarEmail",
    ]
)

#: The same, on the routes of a team alone.
TEAM_ONLY = frozenset(
    ["assignAllTeamMembers", "emailSettings", "hosts", "rescheduleWithSameRoundRobinHost", "schedulingType"]
)

#: Shown, never taken: sending one is answered with 200 and forgotten.
READ_ONLY = frozenset(
    [
        "bookingUrl",
        "currency",
        "forwardParamsSuccessRedirect",
        "id",
        "isInstantEvent",
        "metadata",
        "ownerId",
        "parentEventTypeId",
        "price",
        "rrHostSubsetEnabled",
        "team",
        "teamId",
        "users",
    ]
)

#: Shown by newer builds alone, and not taken (fact sheet 4.2).
NEWER_BUILDS = frozenset(["privateNoteEnabled", "privateNoteMode", "privateNoteTemplate"])

#: Names under version 2024-04-15, which a missing or misspelt header means (fact sheet 1.3), and those of 2024-06-14.
LEGACY_NAMES = {"length": "lengthInMinutes"}
