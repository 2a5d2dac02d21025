"""An account of our own, as a file: an organization with a team, its admin, a member and somebody from outside."""

import json
from pathlib import Path
from typing import Any

ORGANIZATION, TEAM = 50, 60
ADA, BEN, CAT = 1, 2, 3  # admin of the organization and of the team; member of both; neither
KEYS = {"ada": "cal_file_ada", "ben": "cal_file_ben", "cat": "cal_file_cat"}
_LINK = [{"type": "link", "link": "https://meet.example.net/ada", "public": True}]


def _user(user_id: int, name: str, organization_id: int | None) -> dict[str, Any]:
    return {
        "id": user_id,
        "username": name,
        "name": name.capitalize(),
        "email": f"{name}@example.net",
        "time_zone": "Europe/Vienna",
        "schedule_id": 100 + user_id,
        "organization_id": organization_id,
    }


def account() -> dict[str, Any]:
    team = {"name": "Garage", "slug": "garage", "time_zone": "Europe/Vienna"}
    return {
        "users": [_user(ADA, "ada", ORGANIZATION), _user(BEN, "ben", ORGANIZATION), _user(CAT, "cat", None)],
        "teams": [
            {
                "id": ORGANIZATION,
                "name": "Works",
                "slug": "works",
                "time_zone": "Europe/Vienna",
                "is_organization": True,
            },
            {"id": TEAM, **team, "organization_id": ORGANIZATION},
        ],
        "memberships": [
            {"id": 1, "user_id": ADA, "team_id": ORGANIZATION, "role": "OWNER"},
            {"id": 2, "user_id": BEN, "team_id": ORGANIZATION, "role": "MEMBER"},
            {"id": 3, "user_id": ADA, "team_id": TEAM, "role": "ADMIN"},
            {"id": 4, "user_id": BEN, "team_id": TEAM, "role": "MEMBER"},
        ],
        "keys": [
            {"key": KEYS[name], "user_id": one, "name": name} for name, one in zip(KEYS, (ADA, BEN, CAT), strict=True)
        ],
        "event_types": [
            {"user": ADA, "body": {"lengthInMinutes": 45, "title": "Repair", "slug": "repair", "locations": _LINK}},
            {
                "team": TEAM,
                "kind": "roundRobin",
                "hosts": [ADA, BEN],
                "body": {"lengthInMinutes": 30, "title": "Check", "slug": "check", "locations": _LINK},
            },
        ],
    }


def write(folder: Path) -> Path:
    """The account as a file in that folder."""
    path = folder / "account.json"
    path.write_text(json.dumps(account()))
    return path
