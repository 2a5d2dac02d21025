"""The pages as text: one document each, with its style, script and data inside, and the policy that lets in no other.

The policy names style and script by their hashes, so that nothing that a service is called can become either.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import orjson
from markupsafe import Markup

from calcom_pipeline import __version__
from calcom_pipeline.app.reports.models import AccountReport
from calcom_pipeline.domain.redaction import redacted
from calcom_pipeline.domain.reports.verdict import age
from calcom_pipeline.domain.services.remedies import STANDINGS
from calcom_pipeline.settings import CALCOM_CLOUD, Settings
from calcom_pipeline.web.report.plots import (
    WEEKDAYS,
    bookings_picture,
    cache_picture,
    calls_picture,
    free_days_picture,
    hour_grid,
    lag_picture,
)
from calcom_pipeline.web.report.view import STANDING_NAMES, ServiceTable, groups, minute, shown

_FOLDER = "calcom_pipeline.web.report"
_EVENT_TYPE_PAGE = "https://app.cal.com/event-types/"
_UNSAFE_IN_SCRIPT = re.compile(r"[<>&\u2028\u2029]")
#: What the answer is said with beside its colour.
_MARKS = {"in_sync": "✓", "working": "↻", "asking": "!", "unknown": "?"}


@dataclass(frozen=True, slots=True)
class PageOptions:
    """How the page is made. `ui_url` is Dagster's UI, `event_type_page` what an id is added to; empty: no links.

    `live`: it is served, and looks again after `refresh_seconds` (0: when told); `signed_in`: there is a session.
    """

    rows: int = 20_000
    ui_url: str = ""
    event_type_page: str = ""
    live: bool = False
    refresh_seconds: int = 0
    signed_in: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "PageOptions":
        """As set, for a file."""
        s = settings
        page = _EVENT_TYPE_PAGE if s.base_url == CALCOM_CLOUD and not s.uses_sandbox else ""
        return cls(s.report_rows, (s.ui_url or "").rstrip("/"), page)


def report_page(report: AccountReport, options: PageOptions) -> str:
    """The report as a document."""
    table = ServiceTable(report, most=options.rows)
    found, groups_left_out = groups(report)
    pictures, traffic = report.pictures, report.traffic
    content: dict[str, Any] = {
        "groups": found,
        "groups_left_out": groups_left_out,
        "table": table,
        "data": _data({**table.data(), "eventTypePage": options.event_type_page}),
        "bookings": bookings_picture(pictures),
        "free_days": free_days_picture(pictures),
        "hours": hour_grid(pictures.hours),
        "calls": calls_picture(traffic, report.at),
        "lags": lag_picture(pictures, report.at),
        "cache": cache_picture(pictures, report.at),
    }
    return _rendered("page.html.j2", {"report": report, "options": options, **content}, script=True)


def sign_in_page(*, refused: str = "") -> str:
    """A form for a token."""
    return _rendered("sign_in.html.j2", {"refused": refused})


def trouble_page(sentence: str) -> str:
    """A page that says why there is none."""
    return _rendered("trouble.html.j2", {"sentence": redacted(sentence)})


@cache
def policy(*, framed: bool = True) -> str:
    """The content security policy of all pages. `framed`: with what only a header may say."""
    directives = [
        "default-src 'none'",
        f"script-src {_hash(_text('page.js'))}",
        f"style-src {_hash(_text('page.css'))}",
        "img-src data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
    ]
    return "; ".join([*directives, "frame-ancestors 'none'"] if framed else directives)


def _rendered(name: str, content: Mapping[str, Any], *, script: bool = False) -> str:
    common = {
        "policy": policy(framed=False),
        "style": Markup(_text("page.css")),  # noqa: S704 - a file of ours
        "script": Markup(_text("page.js")) if script else "",  # noqa: S704 - the same
    }
    return _templates().get_template(name).render(**common, **content)


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(_FOLDER, ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    filters: dict[str, Any] = {"minute": minute, "iso": _iso, "ago": _ago, "number": _number, "shown": _safe}
    known: dict[str, Any] = {
        "marks": _MARKS,
        "names": STANDING_NAMES,
        "standings": STANDINGS,
        "weekdays": WEEKDAYS,
        "lasted": _lasted,
        "version": __version__,
    }
    environment.filters.update(filters)  # pyright: ignore[reportUnknownMemberType]  # jinja2 types them loosely
    environment.globals.update(known)  # pyright: ignore[reportUnknownMemberType]  # the same
    return environment


def _data(values: Mapping[str, Any]) -> Markup:
    """JSON inside a script element: nothing in it can end that, or begin another."""
    text = orjson.dumps(values).decode()
    return Markup(_UNSAFE_IN_SCRIPT.sub(lambda found: f"\\u{ord(found[0]):04x}", text))  # noqa: S704 - as the docstring says


@cache
def _text(name: str) -> str:
    return (resources.files(_FOLDER) / name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    """As a browser counts the text of an element."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _safe(text: object) -> str:
    return redacted(shown(text, 400), longest=400)


def _iso(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at is not None else ""


def _ago(at: datetime | None, now: datetime) -> str:
    return "never" if at is None else f"{age(now - at)} ago" if at < now - timedelta(seconds=1) else "just now"


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _lasted(began: datetime | None, ended: datetime | None) -> str:
    return age(ended - began) if began is not None and ended is not None else "—"
