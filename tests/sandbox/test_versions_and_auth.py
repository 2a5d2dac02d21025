"""The version header, credentials, and what a request passes before its handler. Fact sheet 1."""

import re

import pytest

from tests.sandbox.talking import BOOKINGS, EVENT_TYPES, KEYS, SLOTS, Talker

_SLOTS_PATH = "/slots?eventTypeId=2&start=2026-11-23&end=2026-11-23"
_BY_ID = "/event-types/2"
_LEGACY, _NONE, _MODERN = "legacy", "none", "modern"
#: What each version header leads to, group by group (fact sheet 1.3).
_TABLE = [
    ("2024-04-15", _LEGACY, _LEGACY, _NONE),
    ("2024-06-11", _LEGACY, _LEGACY, _NONE),
    ("2024-06-14", _LEGACY, _MODERN, _NONE),
    ("2024-08-13", _MODERN, _NONE, _NONE),
    ("2024-09-04", _NONE, _NONE, _MODERN),
    ("2026-02-25", _MODERN, _NONE, _NONE),
    (None, _LEGACY, _LEGACY, _NONE),
    ("1999-01-01", _LEGACY, _LEGACY, _NONE),
]


@pytest.mark.parametrize(("version", "bookings", "event_types", "slots"), _TABLE)
def test_a_version_selects_the_handlers_that_are_registered_for_it(
    calcom: Talker, version, bookings, event_types, slots
):
    kinds = {
        "/bookings": (bookings, lambda data: "nextCursor" in data, lambda data: isinstance(data, list)),
        "/event-types": (event_types, lambda data: "eventTypeGroups" in data, lambda data: isinstance(data, list)),
        _SLOTS_PATH: (slots, None, lambda data: isinstance(data, dict)),
    }
    for path, (expected, is_legacy, is_modern) in kinds.items():
        reply = calcom.get(path, version=version)
        if expected == _NONE:
            assert reply.status == 404
            assert reply.body["error"]["code"] == "NotFoundException"
            assert reply.message == f"Cannot GET /v2{path}"
            assert not [name for name in reply.headers if name.startswith("X-RateLimit")]
        else:
            check = is_modern if expected == _MODERN else is_legacy
            assert check is not None
            assert check(reply.data)


@pytest.mark.parametrize("version", [None, "2024-04-15", "2024-08-13", "2026-02-25", "nonsense"])
@pytest.mark.parametrize("path", ["/webhooks", "/me", "/teams", "/teams/301/event-types", "/teams/301/bookings"])
def test_some_groups_answer_alike_to_every_version(calcom: Talker, path, version):
    assert calcom.get(path, version=version).data == calcom.get(path, version=BOOKINGS).data


def test_what_finds_no_route_uses_up_no_quota(calcom: Talker):
    def remaining() -> int:
        return int(calcom.get("/me").headers["X-RateLimit-Remaining-Default"])

    before = remaining()
    calcom.get("/event-types", version=BOOKINGS)
    calcom.get("/nowhere")
    calcom.ask("PUT", "/bookings", {})
    assert remaining() == before - 1


@pytest.mark.parametrize(
    ("key", "path", "status", "beginning"),
    [
        (None, "/me", 401, "ApiAuthStrategy - No authentication method provided."),
        (None, "/bookings", 403, "PermissionsGuard - no authentication provided."),
        ("garbage", "/bookings", 403, "PermissionsGuard - no oAuth client found"),
        ("garbage", "/me", 401, "Invalid Access Token."),
        ("cal_unknown", "/bookings", 401, "CustomThrottlerGuard - Invalid API Key"),
        ("cal_unknown", "/event-types", 401, "CustomThrottlerGuard - Invalid API Key"),
        ("cal_unknown", "/teams/301/event-types", 401, "CustomThrottlerGuard - Invalid API Key"),
        ("expired", "/me", 401, "ApiAuthStrategy - api key - Your api key is expired"),
    ],
)
def test_wrong_credentials_are_refused_by_whoever_looks_first(calcom: Talker, key, path, status, beginning):
    reply = calcom.get(path, key=key)
    assert reply.status == status
    assert reply.message.startswith(beginning)
    if status == 401 and "Throttler" not in beginning:
        assert "X-RateLimit-Remaining-Default" in reply.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/event-types"),
        ("GET", _SLOTS_PATH),
        ("GET", "/slots/reservations/none"),
        ("GET", "/teams/301/event-types"),
    ],
)
def test_some_routes_need_no_credentials(calcom: Talker, method, path):
    assert calcom.ask(method, path, key=None).status == 200


def test_an_anonymous_caller_sees_no_event_types_without_a_name(calcom: Talker):
    assert calcom.get("/event-types", key=None).data == []


def test_a_platform_client_is_counted_by_itself_and_refused(calcom: Talker):
    reply = calcom.get("/me", key=None, headers={"x-cal-client-id": "client-1", "x-cal-secret-key": "secret"})
    assert reply.status == 401
    assert reply.headers["X-RateLimit-Limit-Default"] == "500"


def test_the_api_prefix_is_the_same_route_and_errors_name_the_short_path(calcom: Talker):
    assert calcom.get("/api/v2/me").status == 200
    assert calcom.get("/api/v2/me?x=1", key="cal_no").body["path"] == "/v2/me?x=1"


def test_health_needs_nothing(calcom: Talker):
    reply = calcom.get("/health", key=None, version=None)
    assert (reply.status, reply.raw) == (200, b"OK")


def test_every_response_carries_a_request_id_of_its_own_and_a_date(calcom: Talker):
    seen = {calcom.get("/me").headers["X-Request-Id"] for _ in range(3)}
    assert len(seen) == 3
    assert all(re.fullmatch(r"[0-9a-f-]{36}", one) for one in seen)
    assert calcom.get("/me").headers["Date"] == "Sun, 22 Nov 2026 08:00:00 GMT"


def test_a_known_etag_saves_the_body_and_not_the_quota(calcom: Talker):
    first = calcom.get("/me", key="bob")
    again = calcom.get("/me", key="bob", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.raw) == (304, b"")
    assert (
        int(again.headers["X-RateLimit-Remaining-Default"]) == int(first.headers["X-RateLimit-Remaining-Default"]) - 1
    )
    assert calcom.get("/me", key="bob", headers={"If-None-Match": '"else"'}).status == 200


def test_me_tells_who_the_key_is(calcom: Talker):
    me = calcom.get("/me", key="bob").data
    assert (me["id"], me["username"], me["organizationId"]) == (102, "bob", None)


def test_a_schedule_is_its_owners(calcom: Talker):
    assert calcom.get("/schedules/201").data["timeZone"] == "Europe/Berlin"
    assert calcom.get("/schedules/default").data["id"] == 201
    assert (calcom.get("/schedules/202").status, calcom.get("/schedules/999").status) == (403, 404)
    legacy = calcom.get("/schedules", version=None).data[0]
    assert legacy["workingHours"] == [{"days": [1, 2, 3, 4, 5], "startTime": 540, "endTime": 1020}]


def test_teams_and_memberships_are_for_members_and_admins(calcom: Talker):
    assert [team["slug"] for team in calcom.get("/teams").data] == ["support"]
    assert calcom.get("/teams/301", key="bob").data["id"] == 301
    memberships = calcom.get("/teams/301/memberships", take=1, skip=1).data
    assert [one["user"]["username"] for one in memberships] == ["bob"]
    assert calcom.get(f"/teams/301/memberships/{memberships[0]['id']}").data["role"] == "MEMBER"
    assert calcom.get("/teams/301/memberships/99").status == 404
    refused = calcom.get("/teams/301/memberships", key="bob")
    assert refused.message == (
        "RolesGuard - user with id=102 does not have the minimum required role=TEAM_ADMIN within team with id=301."
    )
    stranger = calcom.get("/teams/999")
    assert (stranger.status, stranger.message) == (403, "RolesGuard - User is not a member of the team with id=999.")


def test_versions_of_one_path_do_not_disturb_each_other(calcom: Talker):
    assert calcom.get(_BY_ID, version=EVENT_TYPES).data["slug"] == "consult-30"
    assert calcom.get(_BY_ID, version=SLOTS).status == 404
    assert KEYS["alice"] not in calcom.get(_BY_ID, version=EVENT_TYPES).raw.decode()
