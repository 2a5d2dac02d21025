"""The page `/`: who sees it, how a browser signs in, what its headers let in."""

import gzip
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

import pytest

from calcom_pipeline.app.reports.models import AccountReport
from calcom_pipeline.domain.errors import StoreError
from calcom_pipeline.web.report.page import policy
from calcom_pipeline.web.report.routes import COOKIE
from calcom_pipeline.web.report.sessions import Sessions
from tests.support.report_sources import NOW, FakeReportSources
from tests.support.web import Asker, Heard, asking, complaints

TOKEN, OTHER = "website-token-0001", "shop-token-00000002"
TOKENS = {"website": TOKEN, "shop": OTHER}
BROWSER = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Site": "same-origin"}
FORM = {**BROWSER, "Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Reporting:
    """A service that has a report and nothing else."""

    sources: FakeReportSources = field(default_factory=FakeReportSources)
    failing: Exception | None = None
    asked: int = 0

    def report(self) -> AccountReport:
        self.asked += 1
        if self.failing is not None:
            raise self.failing
        return self.sources.report()


def open_page(service: Reporting | None = None, **options: Any) -> Any:
    return asking(service or Reporting(), now=lambda: NOW, **{"tokens": TOKENS, **options})


def cookie_of(answer: Heard) -> str:
    return SimpleCookie(answer.headers["set-cookie"])[COOKIE].value


def sign_in(asker: Asker, token: str = TOKEN, headers: dict[str, str] | None = None) -> Heard:
    return asker.ask("POST", "/sign-in", urlencode({"token": token}).encode(), headers=headers or FORM)


def with_cookie(value: str) -> dict[str, str]:
    return {**BROWSER, "Cookie": f"{COOKIE}={value}"}


def test_a_program_sees_it_with_its_token_and_is_told_without():
    with open_page() as asker:
        assert asker.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).raw.startswith(b"<!doctype html>")
        assert asker.get("/").kind == "no-token"
        for wrong in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN):
            refused = asker.get("/", headers={"Authorization": wrong})
            assert (refused.status, refused.kind) == (401, "no-token")


def test_behind_a_proxy_s_own_password_a_browser_signs_in_all_the_same():
    sent = {**BROWSER, "Authorization": "Basic dXNlcjpwYXNzd29yZA=="}
    with open_page() as asker:
        assert asker.get("/", headers=sent).headers["location"] == "/sign-in"
        value = cookie_of(sign_in(asker, headers={**FORM, "Authorization": sent["Authorization"]}))
        assert asker.get("/", headers={**sent, **with_cookie(value)}).status == 200


def test_a_browser_signs_in_once_and_signs_out():
    with open_page() as asker:
        sent_away = asker.get("/", headers=BROWSER)
        assert (sent_away.status, sent_away.headers["location"]) == (303, "/sign-in")
        form = asker.get("/sign-in", headers=BROWSER)
        assert (form.status, b'type="password"' in form.raw) == (200, True)
        let_in = sign_in(asker)
        assert (let_in.status, let_in.headers["location"]) == (303, "/")
        seen = asker.get("/", headers=with_cookie(cookie_of(let_in)))
        assert (seen.status, b"Sign out" in seen.raw) == (200, True)
        left = asker.ask("POST", "/sign-out", b"", headers=with_cookie(cookie_of(let_in)))
        assert left.headers["location"] == "/sign-in"
        assert SimpleCookie(left.headers["set-cookie"])[COOKIE]["max-age"] == "0"


def test_the_cookie_holds_no_token_and_stays_where_it_was_set():
    with open_page() as asker:
        said = sign_in(asker).headers["set-cookie"]
    assert TOKEN not in said
    assert {"httponly", "samesite=strict", "path=/", "max-age=43200"} <= {
        part.strip().lower() for part in said.split(";")
    }
    assert "secure" not in said.lower()  # plain HTTP, on this machine


def test_behind_a_proxy_with_tls_the_cookie_is_sent_over_tls_alone():
    with open_page() as asker:
        said = sign_in(asker, headers={**FORM, "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"})
    assert "; Secure" in said.headers["set-cookie"]


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", "wèb", "a" * 5000])
def test_what_is_no_token_is_refused_and_not_repeated(token: str):
    with open_page() as asker:
        refused = sign_in(asker, token)
        assert refused.status in (401, 413)
        assert "set-cookie" not in refused.headers
        assert not token or token.encode() not in refused.raw or token == "x"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://127.0.0.1:{port}"}, 303),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 303),  # no browser
    ],
)
def test_no_other_page_can_sign_somebody_in(headers: dict[str, str], status: int):
    with open_page() as asker:
        sent = {name: value.format(port=asker.port) for name, value in headers.items()}
        answer = sign_in(asker, headers={"Content-Type": FORM["Content-Type"], "Accept": "text/html", **sent})
    assert answer.status == status


def test_no_other_page_can_sign_somebody_out():
    with open_page() as asker:
        sent = {"Sec-Fetch-Site": "cross-site"}
        assert "set-cookie" not in asker.ask("POST", "/sign-out", b"", headers=sent).headers


class TestSessions:
    def made(self, seconds: float = 60.0, **tokens: str) -> Sessions:
        return Sessions(tokens or TOKENS, seconds=seconds, clock=lambda: self.clock)

    clock = 1000.0

    def test_a_session_is_its_holder_s_until_it_ends(self):
        sessions = self.made()
        value = sessions.begin("shop")
        assert sessions.holder_of(value) == "shop"
        self.clock = 1059.9
        assert sessions.holder_of(value) == "shop"
        self.clock = 1060.0
        assert sessions.holder_of(value) == ""

    def test_another_process_with_the_same_tokens_knows_it(self):
        assert self.made().holder_of(self.made().begin("shop")) == "shop"

    def test_a_token_that_was_replaced_ends_its_sessions(self):
        assert self.made(shop="another-token-0003").holder_of(self.made().begin("shop")) == ""
        assert self.made(website=TOKEN).holder_of(self.made().begin("shop")) == ""

    @pytest.mark.parametrize("place", range(4))
    def test_nothing_of_it_can_be_changed(self, place: int):
        parts = self.made().begin("shop").split(".")
        parts[place] = {0: "website", 1: "9999999999", 2: "AAAAAAAAAAA", 3: "A" * 43}[place]
        assert self.made().holder_of(".".join(parts)) == ""

    @pytest.mark.parametrize("value", ["", "shop", "shop.1.x", "shop.9999999999.x." + "A" * 43, "ß" * 60, "." * 3])
    def test_what_was_not_made_here_is_nobody_s(self, value: str):
        assert self.made().holder_of(value) == ""


def test_without_tokens_everybody_on_this_machine_sees_it_and_need_not_sign_in():
    with open_page(tokens={}) as asker:
        assert asker.get("/", headers=BROWSER).status == 200
        assert asker.get("/sign-in", headers=BROWSER).headers["location"] == "/"


def test_a_session_spends_the_requests_of_its_token():
    with open_page(requests_per_minute=2) as asker:
        value = cookie_of(sign_in(asker))
        statuses = [asker.get("/", headers=with_cookie(value)).status for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_its_headers_let_nothing_in_and_nobody_keep_or_frame_it():
    with open_page() as asker:
        for answer in (
            asker.get("/", headers={"Authorization": f"Bearer {TOKEN}"}),
            asker.get("/sign-in"),
            sign_in(asker, "wrong"),
        ):
            headers = answer.headers
            assert headers["content-security-policy"] == policy()
            assert headers["cache-control"] == "no-store"
            assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
    directives = dict(part.partition(" ")[::2] for part in policy().split("; "))
    assert directives["default-src"] == directives["base-uri"] == directives["frame-ancestors"] == "'none'"
    assert re.fullmatch(r"'sha256-[\w+/=]{44}'", directives["script-src"])
    assert re.fullmatch(r"'sha256-[\w+/=]{44}'", directives["style-src"])
    assert "unsafe" not in policy()


def test_the_report_is_made_once_for_all_who_look_within_some_seconds():
    service = Reporting()
    with open_page(service, report_fresh_seconds=3600) as asker:
        for _ in range(3):
            asker.get("/", headers={"Authorization": f"Bearer {TOKEN}"})
        assert service.asked == 1
        asker.get("/", headers=with_cookie(cookie_of(sign_in(asker))))  # the page differs, the report does not
        assert service.asked == 1
    with open_page(service, report_fresh_seconds=0) as asker:
        asker.get("/", headers={"Authorization": f"Bearer {TOKEN}"})
        asker.get("/", headers={"Authorization": f"Bearer {TOKEN}"})
    assert service.asked == 3


def test_it_is_compressed_for_who_can_read_that():
    with open_page() as asker:
        connection = HTTPConnection("127.0.0.1", asker.port, timeout=30)
        sent = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "gzip, br"}
        connection.request("GET", "/", headers=sent)
        answer = connection.getresponse()
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(answer.read()).startswith(b"<!doctype html>")
        connection.close()


def test_trouble_is_a_page_of_its_own_with_the_cause_and_what_to_do():
    with open_page(Reporting(failing=StoreError("PostgreSQL is away", advice="Start it."))) as asker:
        answer = asker.get("/", headers={"Authorization": f"Bearer {TOKEN}", **BROWSER})
    assert answer.status == 503
    assert b"PostgreSQL is away. Start it." in answer.raw


def test_it_can_be_switched_off():
    with open_page(off=frozenset({"report"})) as asker:
        for path in ("/", "/sign-in"):
            assert asker.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).kind == "no-route"


def test_a_session_opens_no_other_part():
    """A cookie must not do what a token does: pages of other origins could make a browser send it."""
    with open_page() as asker:
        value = cookie_of(sign_in(asker))
        assert asker.get("/metrics", headers=with_cookie(value)).status == 401


def test_it_is_no_part_of_the_document():
    with open_page() as asker:
        answer = asker.get("/", headers={"Authorization": f"Bearer {TOKEN}"})
        assert complaints(asker.document, "GET", "/", answer) == []
        assert "/" not in asker.document["paths"]


def test_a_page_says_how_old_it_is():
    sources = FakeReportSources(read_at=NOW - timedelta(minutes=42))
    with open_page(Reporting(sources)) as asker:
        page = asker.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).raw.decode()
    assert "Cal.com was last read" in page
    assert "42 minutes ago" in page
    assert f'data-made="{datetime(2026, 12, 1, 8, tzinfo=UTC).isoformat()}"' in page
