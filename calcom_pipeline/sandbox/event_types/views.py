"""Event types as version 2024-06-14 answers them: the personal shape and the team shape, in the recorded key order."""

from typing import Any, Literal

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.event_types.fields import shown_fields
from calcom_pipeline.sandbox.state.model import SandboxEventType, SandboxHost, SandboxTeam, User
from calcom_pipeline.sandbox.state.world import World

_FLAGS_OFF = {"disabled": True}
TeamMembers = Literal["id", "some", "all"]
_NOT_SELECTED = frozenset({"bannerUrl", "brandColor", "darkBrandColor"})  # by a team's read of one type


def _without_absent(pairs: Json) -> Json:
    """Keys whose value is undefined are left out; a None that is meant stands as the text `null` in Cal.com."""
    return {key: value for key, value in pairs.items() if value is not _ABSENT}


_ABSENT: Any = object()


def _or_absent(value: Any) -> Any:
    return _ABSENT if value is None else value


def _head(event_type: SandboxEventType) -> Json:
    return {
        "lengthInMinutes": event_type.length,
        "lengthInMinutesOptions": _or_absent(event_type.length_options),
        "title": event_type.title,
        "slug": event_type.slug,
        "description": event_type.description or "",
        "locations": event_type.locations,
    }


def _middle(event_type: SandboxEventType, *, with_hidden: bool) -> Json:
    setting = event_type.settings.get
    recurrence = {"disabled": False} | event_type.recurrence if event_type.recurrence else None
    return {
        "bookingFields": shown_fields(event_type.booking_fields, with_hidden=with_hidden),
        "recurrence": recurrence,
        "disableGuests": event_type.disable_guests,
        "slotInterval": event_type.slot_interval,
        "minimumBookingNotice": event_type.notice,
        "beforeEventBuffer": event_type.before_buffer,
        "afterEventBuffer": event_type.after_buffer,
        "metadata": event_type.metadata,
        "price": event_type.price,
        "currency": event_type.currency,
        "lockTimeZoneToggleOnBookingPage": setting("lockTimeZoneToggleOnBookingPage", False),
        "forwardParamsSuccessRedirect": True,
        "successRedirectUrl": setting("successRedirectUrl"),
        "isInstantEvent": False,
    }


def _tail(world: World, event_type: SandboxEventType) -> Json:
    setting = event_type.settings.get
    return {
        "scheduleId": event_type.schedule_id,
        "bookingLimitsCount": _or_absent(event_type.limits_count),
        "bookingLimitsDuration": _or_absent(event_type.limits_duration),
        "onlyShowFirstAvailableSlot": event_type.only_first_slot,
        "offsetStart": event_type.offset_start,
        "bookingWindow": event_type.window or _FLAGS_OFF,
        "bookerLayouts": _or_absent(setting("bookerLayouts")),
        "confirmationPolicy": event_type.confirmation or _FLAGS_OFF,
        "requiresBookerEmailVerification": setting("requiresBookerEmailVerification", False),
        "hideCalendarNotes": setting("hideCalendarNotes", False),
        "color": _or_absent(setting("color")),
        "seats": _FLAGS_OFF if event_type.seats is None else {"disabled": False} | event_type.seats,
        "customName": _or_absent(setting("customName")),
        "destinationCalendar": _or_absent(setting("destinationCalendar")),
        "useDestinationCalendarEmail": setting("useDestinationCalendarEmail", False),
        "hideCalendarEventDetails": setting("hideCalendarEventDetails", False),
        "hideOrganizerEmail": setting("hideOrganizerEmail", False),
        "calVideoSettings": _cal_video(event_type),
        "hidden": event_type.hidden,
        "bookingRequiresAuthentication": event_type.requires_authentication,
        "bookerActiveBookingsLimit": event_type.booker_limit or _FLAGS_OFF,
        "bookingUrl": booking_url(world, event_type),
        "disableCancelling": {"disabled": bool(setting("disableCancelling", False))},
        "disableRescheduling": _rescheduling(event_type),
        "interfaceLanguage": setting("interfaceLanguage"),
        "allowReschedulingPastBookings": setting("allowReschedulingPastBookings", False),
        "allowReschedulingCancelledBookings": setting("allowReschedulingCancelledBookings", False),
        "showOptimizedSlots": setting("showOptimizedSlots", False),
    }


def _cal_video(event_type: SandboxEventType) -> Json:
    """Lists and reads show the transcription switch; the rest of the settings only what was set."""
    given: Json = event_type.settings.get("calVideoSettings") or {}
    return given | {"sendTranscriptionEmails": event_type.settings.get("sendTranscriptionEmails", True)}


def _rescheduling(event_type: SandboxEventType) -> Json:
    notice = event_type.settings.get("minimumRescheduleNotice")
    shown: Json = {"disabled": bool(event_type.settings.get("disableRescheduling", False))}
    return shown | ({"minutesBefore": notice} if notice else {})


def booking_url(world: World, event_type: SandboxEventType) -> str:
    """The public page of a personal type; a team's types show none."""
    owner = world.users.get(event_type.owner_id or 0)
    return f"{world.booker_url}/{owner.username}/{event_type.slug}" if owner else ""


def personal(world: World, event_type: SandboxEventType, *, with_hidden: bool) -> Json:
    """The personal shape."""
    owner = world.users[event_type.owner_id or 0]
    shown = {"id": event_type.id, "ownerId": owner.id} | _head(event_type)
    shown |= _middle(event_type, with_hidden=with_hidden)
    return _without_absent(shown | {"users": [personal_user(owner)]} | _tail(world, event_type))


def personal_user(user: User) -> Json:
    """A user as a personal type shows its owner."""
    return {
        "id": user.id,
        "name": user.name,
        "username": user.username,
        "avatarUrl": None,
        "brandColor": None,
        "darkBrandColor": None,
        "weekStart": user.week_start,
        "metadata": {},
    }


def for_team(world: World, event_type: SandboxEventType, *, names: TeamMembers, hosts_limit: int | None = None) -> Json:
    """The team shape. A create or update names only the team's id, a list the whole team, a team's read a part."""
    hosts = [_host(world, event_type, host) for host in world.hosts_of(event_type) if host.user_id in world.users]
    shown = {"id": event_type.id} | _head(event_type) | _middle(event_type, with_hidden=True)
    shown |= _tail(world, event_type)
    shown |= {
        "hosts": hosts[:hosts_limit] if hosts_limit else hosts,
        "teamId": event_type.team_id,
        "ownerId": event_type.owner_id,
        "parentEventTypeId": event_type.parent_id,
        "schedulingType": event_type.scheduling,
        "assignAllTeamMembers": _ABSENT if event_type.parent_id else event_type.assign_all,
        "team": _team(world.teams.get(event_type.team_id or 0), names),
        "emailSettings": _or_absent(event_type.settings.get("emailSettings")),
        "rescheduleWithSameRoundRobinHost": event_type.settings.get("rescheduleWithSameRoundRobinHost", False),
        "rrHostSubsetEnabled": False,
    }
    return _without_absent(shown)


def _host(world: World, event_type: SandboxEventType, host: SandboxHost) -> Json:
    user = world.users[host.user_id]
    shown: Json = {}
    if event_type.scheduling == "roundRobin":
        shown = {"mandatory": host.mandatory, "priority": host.priority}
    return shown | {"userId": user.id, "name": user.name, "username": user.username, "avatarUrl": None}


def _team(team: SandboxTeam | None, names: TeamMembers) -> Json:
    if team is None or names == "id":
        return {"id": team.id if team else None}
    shown: Json = {
        "id": team.id,
        "name": team.name,
        "slug": team.slug,
        "bannerUrl": None,
        "logoUrl": None,
        "weekStart": team.week_start,
        "brandColor": None,
        "darkBrandColor": None,
        "theme": None,
    }
    return shown if names == "all" else {name: value for name, value in shown.items() if name not in _NOT_SELECTED}
