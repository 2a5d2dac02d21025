"""`GET /v2/event-types` in the versions before 2024-06-14: another shape, grouped by profile, without an error.

Facts: recordings `08-version-event-types-*`.
"""

from typing import Any, Final

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import iso
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, success
from calcom_pipeline.sandbox.http.call import Guard, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import EVENT_TYPES_LEGACY
from calcom_pipeline.sandbox.state.model import SandboxEventType, SandboxTeam, User
from calcom_pipeline.sandbox.state.world import World

SCHEDULING: Final = {"roundRobin": "ROUND_ROBIN", "collective": "COLLECTIVE", "managed": "MANAGED"}
_FREQUENCIES: Final = {"yearly": 0, "monthly": 1, "weekly": 2}
_AVATARS: Final = "https://eu.ui-avatars.com/api/?background=fff&color=f9f9f9&bold=true&background=000000&name="
_EXPIRY_SECONDS: Final = 90
_WEIGHT: Final = 100
_PRIORITIES: Final = {"lowest": 0, "low": 1, "medium": 2, "high": 3, "highest": 4}


def stored_recurrence(event_type: SandboxEventType) -> Json | None:
    """A series as the database keeps it."""
    if not event_type.recurrence:
        return None
    frequency = _FREQUENCIES[event_type.recurrence["frequency"]]
    return {
        "freq": frequency,
        "count": event_type.recurrence["occurrences"],
        "interval": event_type.recurrence["interval"],
    }


def stored_locations(event_type: SandboxEventType) -> list[Json]:
    """Locations as the database keeps them."""
    return [_stored_location(location) for location in event_type.locations]


def _stored_location(location: Json) -> Json:
    public = {"displayLocationPublicly": location.get("public", True)}
    if location["type"] == "link":
        return {"link": location["link"], "type": "link", **public}
    if location["type"] == "address":
        return {"type": "inPerson", "address": location["address"], **public}
    if location["type"] == "phone":
        return {"type": "userPhone", "hostPhoneNumber": location["phone"], **public}
    if location["type"] == "integration":
        return {"type": "integrations:daily"}
    kinds = {"attendeeAddress": "attendeeInPerson", "attendeePhone": "phone", "attendeeDefined": "somewhereElse"}
    return {"type": kinds.get(location["type"], "conferencing")}


def _period(event_type: SandboxEventType) -> Json:
    window: Json = event_type.window or {}
    kind = window.get("type")
    rolling = {True: "ROLLING_WINDOW", False: "ROLLING"}[bool(window.get("rolling"))]
    in_days = kind in {"businessDays", "calendarDays"}
    return {
        "periodType": "UNLIMITED" if kind is None else rolling if in_days else "RANGE",
        "periodStartDate": window["value"][0] if kind == "range" else None,
        "periodEndDate": window["value"][1] if kind == "range" else None,
        "periodDays": window["value"] if in_days else None,
        "periodCountCalendarDays": kind == "calendarDays" if in_days else None,
    }


def _limits(limits: Json | None) -> Json | None:
    return None if limits is None else {f"PER_{unit.upper()}": value for unit, value in limits.items()}


def _color(color: Json | None) -> Json | None:
    """As the database names its shades."""
    if color is None:
        return None
    return {"darkEventTypeColor": color["darkThemeHex"], "lightEventTypeColor": color["lightThemeHex"]}


def row(world: World, event_type: SandboxEventType) -> Json:
    """A type as the database keeps it."""
    setting = event_type.settings.get
    owner = world.users.get(event_type.owner_id or 0)
    return {
        "id": event_type.id,
        "teamId": event_type.team_id,
        "schedulingType": SCHEDULING.get(event_type.scheduling or ""),
        "userId": event_type.owner_id,
        "metadata": event_type.metadata,
        "description": event_type.description or None,
        "interfaceLanguage": setting("interfaceLanguage"),
        "hidden": event_type.hidden,
        "slug": event_type.slug,
        "length": event_type.length,
        "title": event_type.title,
        "requiresConfirmation": event_type.confirmation is not None,
        "canSendCalVideoTranscriptionEmails": setting("sendTranscriptionEmails", True),
        "requiresConfirmationForFreeEmail": False,
        "requiresConfirmationWillBlockSlot": _blocks(event_type),
        "autoTranslateDescriptionEnabled": False,
        "position": 0,
        "offsetStart": event_type.offset_start,
        "owner": {"timeZone": owner.time_zone} if owner else None,
        "profileId": None,
        "eventName": setting("customName"),
        "parentId": event_type.parent_id,
        "timeZone": None,
        **_period(event_type),
        "lockTimeZoneToggleOnBookingPage": setting("lockTimeZoneToggleOnBookingPage", False),
        "lockedTimeZone": None,
        "requiresBookerEmailVerification": setting("requiresBookerEmailVerification", False),
        **_rules(event_type),
        **_more(event_type),
        "locations": stored_locations(event_type),
        "bookingFields": event_type.booking_fields,
        **_end(world, event_type),
    }


def _blocks(event_type: SandboxEventType) -> bool:
    return bool((event_type.confirmation or {}).get("blockUnconfirmedBookingsInBooker"))


def _rules(event_type: SandboxEventType) -> Json:
    setting = event_type.settings.get
    seats: Json = event_type.seats or {}
    return {
        "disableGuests": event_type.disable_guests,
        "disableCancelling": bool(setting("disableCancelling", False)),
        "disableRescheduling": bool(setting("disableRescheduling", False)),
        "minimumRescheduleNotice": setting("minimumRescheduleNotice"),
        "allowReschedulingCancelledBookings": setting("allowReschedulingCancelledBookings", False),
        "hideCalendarNotes": setting("hideCalendarNotes", False),
        "minimumBookingNotice": event_type.notice,
        "beforeEventBuffer": event_type.before_buffer,
        "afterEventBuffer": event_type.after_buffer,
        "seatsPerTimeSlot": event_type.seats_per_slot or None,
        "onlyShowFirstAvailableSlot": event_type.only_first_slot,
        "allowReschedulingPastBookings": setting("allowReschedulingPastBookings", False),
        "hideOrganizerEmail": setting("hideOrganizerEmail", False),
        "showOptimizedSlots": setting("showOptimizedSlots", False),
        "seatsShowAttendees": bool(seats.get("showAttendeeInfo", False)),
        "seatsShowAvailabilityCount": bool(seats.get("showAvailabilityCount", True)),
    }


def _more(event_type: SandboxEventType) -> Json:
    return {
        "scheduleId": event_type.schedule_id,
        "instantMeetingScheduleId": None,
        "price": event_type.price,
        "currency": event_type.currency,
        "slotInterval": event_type.slot_interval,
        "successRedirectUrl": event_type.settings.get("successRedirectUrl"),
        "isInstantEvent": False,
        "instantMeetingExpiryTimeOffsetInSeconds": _EXPIRY_SECONDS,
        "instantMeetingParameters": [],
        "aiPhoneCallConfig": None,
        "assignAllTeamMembers": event_type.assign_all,
        "isRRWeightsEnabled": False,
        "enablePerHostLocations": False,
        "rescheduleWithSameRoundRobinHost": event_type.settings.get("rescheduleWithSameRoundRobinHost", False),
        "recurringEvent": stored_recurrence(event_type),
    }


def _end(world: World, event_type: SandboxEventType) -> Json:
    is_managed = event_type.scheduling == "managed"
    hosts = [] if is_managed else [_host(world, event_type, host_id) for host_id in _team_hosts(world, event_type)]
    owners = [event_type.owner_id] if event_type.owner_id is not None else [host["userId"] for host in hosts]
    end: Json = {
        "useEventTypeDestinationCalendarEmail": event_type.settings.get("useDestinationCalendarEmail", False),
        "secondaryEmailId": None,
        "bookingLimits": _limits(event_type.limits_count),
        "durationLimits": _limits(event_type.limits_duration),
        "eventTypeColor": _color(event_type.settings.get("color")),
        "hideCalendarEventDetails": event_type.settings.get("hideCalendarEventDetails", False),
        "rrSegmentQueryValue": None,
        "assignRRMembersUsingSegment": False,
        "maxLeadThreshold": None,
        "useEventLevelSelectedCalendars": False,
        "customReplyToEmail": None,
        "restrictionScheduleId": None,
        "useBookerTimezone": False,
        "instantMeetingSchedule": None,
        "hashedLink": [],
        "children": [_child(world, child) for child in world.event_types.children_of(event_type.id)],
        "hosts": hosts,
        "team": _team(world, event_type),
    }
    if event_type.description:
        end["safeDescription"] = f"<p>{event_type.description}</p>\n"
    return end | {"userIds": owners}


def _team_hosts(world: World, event_type: SandboxEventType) -> list[int]:
    return [] if event_type.owner_id is not None else world.host_ids(event_type)


def _host(world: World, event_type: SandboxEventType, user_id: int) -> Json:
    user = world.users[user_id]
    host = next(one for one in world.hosts_of(event_type) if one.user_id == user_id)
    return {
        "userId": user_id,
        "eventTypeId": event_type.id,
        "isFixed": event_type.scheduling == "collective" or host.mandatory,
        "priority": _PRIORITIES[host.priority],
        "weight": _WEIGHT,
        "weightAdjustment": None,
        "scheduleId": None,
        "createdAt": iso(host.created),
        "groupId": None,
        "memberId": None,
        "user": _short_user(user),
    }


def _short_user(user: User) -> Json:
    return {
        "name": user.name,
        "avatarUrl": None,
        "username": user.username,
        "id": user.id,
        "timeZone": user.time_zone,
    }


def _team(world: World, event_type: SandboxEventType) -> Json | None:
    team = world.teams.get(event_type.team_id or 0)
    if team is None:
        return None
    owner = next(m.user_id for m in world.memberships.values() if m.team_id == team.id)
    return {"id": team.id, "members": [{"user": {"timeZone": world.users[owner].time_zone}}]}


# Columns of a managed child's row that nothing here sets, in their place among those that something does.
_CHILD_CONSTANTS: Final[Json] = {
    "profileId": None,
    "useEventLevelSelectedCalendars": False,
    "timeZone": None,
    "lockedTimeZone": None,
    "requiresConfirmationForFreeEmail": False,
    "autoTranslateDescriptionEnabled": False,
    "autoTranslateInstantMeetingTitleEnabled": True,
    "forwardParamsSuccessRedirect": True,
    "redirectUrlOnNoRoutingFormResponse": None,
    "includeNoShowInRRCalculation": False,
    "maxActiveBookingsPerBooker": None,
    "maxActiveBookingPerBookerOfferReschedule": False,
    "rrHostSubsetEnabled": False,
}
_CHILD_KEYS: Final = (
    "id", "title", "slug", "description", "interfaceLanguage", "position", "locations", "length", "offsetStart",
    "hidden", "userId", "profileId", "teamId", "useEventLevelSelectedCalendars", "eventName", "parentId",
    "bookingFields", "timeZone", "periodType", "periodStartDate", "periodEndDate", "periodDays",
    "periodCountCalendarDays", "lockTimeZoneToggleOnBookingPage", "lockedTimeZone", "requiresConfirmation",
    "requiresConfirmationWillBlockSlot", "requiresConfirmationForFreeEmail", "requiresBookerEmailVerification",
    "canSendCalVideoTranscriptionEmails", "autoTranslateDescriptionEnabled",
    "autoTranslateInstantMeetingTitleEnabled", "recurringEvent", "disableGuests", "hideCalendarNotes",
    "hideCalendarEventDetails", "minimumBookingNotice", "beforeEventBuffer", "afterEventBuffer", "seatsPerTimeSlot",
    "onlyShowFirstAvailableSlot", "showOptimizedSlots", "disableCancelling", "disableRescheduling",
    "minimumRescheduleNotice", "seatsShowAttendees", "seatsShowAvailabilityCount", "schedulingType", "scheduleId",
    "allowReschedulingCancelledBookings", "price", "currency", "slotInterval", "metadata", "successRedirectUrl",
    "forwardParamsSuccessRedirect", "redirectUrlOnNoRoutingFormResponse", "bookingLimits", "durationLimits",
    "isInstantEvent", "instantMeetingExpiryTimeOffsetInSeconds", "instantMeetingScheduleId",
    "instantMeetingParameters", "assignAllTeamMembers", "assignRRMembersUsingSegment", "rrSegmentQueryValue",
    "useEventTypeDestinationCalendarEmail", "isRRWeightsEnabled", "maxLeadThreshold",
    "includeNoShowInRRCalculation", "allowReschedulingPastBookings", "hideOrganizerEmail",
    "maxActiveBookingsPerBooker", "maxActiveBookingPerBookerOfferReschedule", "customReplyToEmail",
    "eventTypeColor", "rescheduleWithSameRoundRobinHost", "secondaryEmailId", "useBookerTimezone",
    "restrictionScheduleId", "bookingRequiresAuthentication", "rrHostSubsetEnabled", "enablePerHostLocations",
)  # fmt: skip


def _child(world: World, child: SandboxEventType) -> Json:
    values: Json = row(world, child) | _CHILD_CONSTANTS
    values["bookingRequiresAuthentication"] = child.requires_authentication
    shown: Json = {key: values[key] for key in _CHILD_KEYS}
    moment = iso(child.created)
    owner = world.users[child.owner_id or 0]
    profile = {
        "id": None,
        "upId": f"usr-{owner.id}",
        "username": owner.username,
        "organizationId": None,
        "organization": None,
    }
    user: dict[str, Any] = _short_user(owner) | {"nonProfileUsername": owner.username, "profile": profile}
    return shown | {"createdAt": moment, "updatedAt": moment, "users": [user]}


def _user_group(call: SandboxCall, user: User) -> Json:
    types = call.sandbox.row_order(call.world.event_types.of_owner(user.id))
    image = f"{call.world.booker_url}/avatar.svg"
    return {
        "teamId": None,
        "bookerUrl": call.world.booker_url,
        "membershipRole": None,
        "profile": {"slug": user.username, "name": user.name, "image": image},
        "eventTypes": [row(call.world, one) for one in types],
        "metadata": {"membershipCount": 1, "readOnly": False},
    }


def _members(world: World, team: SandboxTeam) -> int:
    return sum(one.team_id == team.id for one in world.memberships.values())


def _team_group(call: SandboxCall, user: User, team: SandboxTeam) -> Json:
    types = call.sandbox.row_order(call.world.event_types.of_team(team.id))
    role = call.world.role_in(user.id, team.id)
    return {
        "teamId": team.id,
        "parentId": team.organization_id,
        "bookerUrl": call.world.booker_url,
        "membershipRole": role,
        "profile": {"image": _AVATARS + team.name, "name": team.name, "slug": f"team/{team.slug}"},
        "metadata": {"membershipCount": _members(call.world, team), "readOnly": role == "MEMBER"},
        "eventTypes": [row(call.world, one) for one in types],
    }


async def list_event_types(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/event-types before 2024-06-14: the caller's own types and those of his teams."""
    user = call.caller
    teams = [team for team in call.world.teams_of(user.id) if not team.is_organization]
    groups = [_user_group(call, user), *(_team_group(call, user, team) for team in teams)]
    profiles = [
        group["profile"] | group["metadata"] | {"teamId": group["teamId"], "membershipRole": group["membershipRole"]}
        for group in groups
    ]
    return success({"eventTypeGroups": groups, "profiles": profiles, "allUsersAcrossAllEventTypes": {}})


ROUTES: Final = [Route("GET", "/v2/event-types", list_event_types, EVENT_TYPES_LEGACY, Guard.PERMISSION)]
