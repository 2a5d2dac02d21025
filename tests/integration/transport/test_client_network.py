"""The way to Cal.com through other people's nets: authorities of their own, proxies, and what is wrong with either."""

import base64
import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from calcom_pipeline.adapters.calcom.transport.network import Network
from calcom_pipeline.adapters.calcom.transport.retries import RetryPatience
from calcom_pipeline.adapters.postgres.database import open_database
from calcom_pipeline.adapters.redis.breaker import RedisBreaker
from calcom_pipeline.adapters.redis.connection import open_redis, redis_failures
from calcom_pipeline.domain.bookings.requests import BookingRequest, NewAttendee
from calcom_pipeline.domain.errors import (
    CacheError,
    CertificateRefused,
    ConfigurationError,
    StoreError,
    TransientError,
)
from tests.support.clients import BREAKER, Seen, client_of
from tests.support.proxy import tunnelling_to
from tests.support.raw_server import raw_server
from tests.support.tls import Authority

KEY = "cal_" + "f" * 32
ONCE = RetryPatience(deadline_seconds=5, attempts=3, first_pause_seconds=0.01)
_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*_VARIABLES, *_PROXIES, *(one.lower() for one in _PROXIES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("theirs"), "Another authority")


# --- certificates --------------------------------------------------------------------------------------------


def refused(store: redis.Redis, url: str, network: Network) -> CertificateRefused:
    """The error; also that it came at the first attempt, and does not count against Cal.com."""
    seen = Seen()
    with client_of(url, KEY, store, patience=ONCE, network=network, observers=[seen]) as calcom:
        for _ in range(BREAKER.failures + 1):
            with pytest.raises(CertificateRefused) as raised:
                calcom.me()
        booking = BookingRequest(
            2, datetime(2026, 12, 2, 10, tzinfo=UTC), NewAttendee("C", "UTC", email="c@example.org")
        )
        with pytest.raises(CertificateRefused):  # no doubt: nothing was sent
            calcom.create_booking(booking)
    assert seen.outcomes() == ["CertificateRefused"] * (BREAKER.failures + 2)
    breaker = RedisBreaker(store, key_name="test", rules=BREAKER)
    assert set(breaker.states(["account", "bookings"]).values()) == {"closed"}
    return raised.value


def test_a_certificate_of_an_unknown_authority_is_named_and_never_tried_again(
    redis_client: redis.Redis, ours: Authority, theirs: Authority
):
    with raw_server(tls=theirs.server_context()) as (url, heard):
        for network in (Network(), Network(ca_bundle=ours.file)):
            error = refused(redis_client, url, network)
            assert "the certificate of 127.0.0.1 is not trusted (" in str(error)
            assert "CALCOM_CA_BUNDLE" in error.advice
    assert not heard.requests


def test_a_certificate_that_has_expired_is_named(redis_client: redis.Redis, ours: Authority):
    with raw_server(tls=ours.server_context(ends=datetime.now(UTC) - timedelta(days=1))) as (url, _):
        assert str(refused(redis_client, url, Network(ca_bundle=ours.file))).endswith("127.0.0.1 has expired")


def test_a_certificate_for_another_host_is_named(redis_client: redis.Redis, ours: Authority):
    with raw_server(tls=ours.server_context("cal.example")) as (url, _):
        assert str(refused(redis_client, url, Network(ca_bundle=ours.file))).endswith("127.0.0.1 is for another host")


def test_an_authority_in_the_settings_is_trusted_before_all_variables(
    redis_client: redis.Redis, ours: Authority, theirs: Authority, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(theirs.file))
    with raw_server(tls=ours.server_context()) as (url, _):  # noqa: SIM117 - the server first
        with client_of(url, KEY, redis_client, network=Network(ca_bundle=ours.file)) as calcom:
            assert calcom.me().username == "a"


@pytest.mark.parametrize("variable", _VARIABLES)
def test_the_usual_variables_name_an_authority(
    redis_client: redis.Redis, ours: Authority, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    place = ours.file
    if variable == "SSL_CERT_DIR":
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("folders of certificates are named by openssl")
        shutil.copy(ours.file, tmp_path / "authority.pem")
        subprocess.run([openssl, "rehash", str(tmp_path)], check=True)
        place = tmp_path
    monkeypatch.setenv(variable, str(place))
    with raw_server(tls=ours.server_context()) as (url, _), client_of(url, KEY, redis_client) as calcom:
        assert calcom.me().username == "a"


@pytest.mark.parametrize("text", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_bundle_that_is_none_is_refused_before_anything_is_sent(
    redis_client: redis.Redis, text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bundle = tmp_path / "bundle.pem"
    if text is not None:
        bundle.write_text(text)
    with pytest.raises(ConfigurationError, match="CALCOM_CA_BUNDLE names"):
        client_of("https://cal.example/v2", KEY, redis_client, network=Network(ca_bundle=bundle)).__enter__()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE names"):
        client_of("https://cal.example/v2", KEY, redis_client).__enter__()


def test_a_server_without_tls_is_named(redis_client: redis.Redis):
    with raw_server() as (url, _):
        error = failing(redis_client, url.replace("http://", "https://"), Network())
    assert "what answers at 127.0.0.1 does not speak TLS" in str(error)
    assert not error.exchange.in_doubt


# --- proxies -------------------------------------------------------------------------------------------------


def failing(store: redis.Redis, url: str, network: Network) -> TransientError:
    once = RetryPatience(deadline_seconds=5, attempts=1)
    with client_of(url, KEY, store, patience=once, network=network) as calcom, pytest.raises(TransientError) as raised:
        booking = BookingRequest(
            2, datetime(2026, 12, 2, 10, tzinfo=UTC), NewAttendee("C", "UTC", email="c@example.org")
        )
        calcom.create_booking(booking)
    return raised.value


def port_of(url: str) -> int:
    return int(url.split(":")[2].split("/", maxsplit=1)[0])


def test_a_proxy_in_the_settings_is_used_and_its_password_is_given_to_it_alone(
    redis_client: redis.Redis, ours: Authority
):
    with (
        raw_server(tls=ours.server_context("cal.example")) as (url, heard),
        tunnelling_to(port_of(url)) as proxy,
        client_of(
            "https://cal.example/v2",
            KEY,
            redis_client,
            network=Network(ours.file, f"http://eve:s3cret-pw@{proxy.address}"),
        ) as calcom,
    ):
        assert calcom.me().username == "a"
        assert calcom.me().username == "a"
    assert proxy.asked_for == ["cal.example:443"], "one tunnel, one lookup, and the proxy does that"
    assert base64.b64decode(proxy.headers[0]["Proxy-Authorization"].split()[1]) == b"eve:s3cret-pw"
    assert "Authorization" not in proxy.headers[0]
    for _, _, headers, _ in heard.requests:
        assert headers["Authorization"] == f"Bearer {KEY}"
        assert "Proxy-Authorization" not in headers


def test_without_tls_the_proxy_is_asked_for_the_whole_address(redis_client: redis.Redis):
    with raw_server() as (url, heard):  # noqa: SIM117 - the server first
        with client_of(
            "http://cal.example/v2", KEY, redis_client, network=Network(proxy=f"127.0.0.1:{port_of(url)}")
        ) as calcom:
            calcom.me()
    assert heard.requests[0][1] == "http://cal.example/v2/me"


@pytest.mark.parametrize(
    ("variables", "proxied"),
    [
        ({"HTTP_PROXY": "http://{}"}, True),
        ({"http_proxy": "{}"}, True),
        ({"ALL_PROXY": "http://{}"}, True),
        ({"HTTPS_PROXY": "http://{}"}, False),
        ({"HTTP_PROXY": "http://{}", "NO_PROXY": "other.example"}, True),
        ({"HTTP_PROXY": "http://{}", "NO_PROXY": "other.example, .example"}, False),
        ({"HTTP_PROXY": "http://{}", "no_proxy": "cal.example"}, False),
    ],
)
def test_the_usual_variables_name_a_proxy_and_what_needs_none(
    redis_client: redis.Redis, variables: dict[str, str], proxied: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("REQUEST_METHOD", raising=False)  # with it, HTTP_PROXY is a header of CGI
    with raw_server() as (url, heard):
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format(f"127.0.0.1:{port_of(url)}"))
        patience = RetryPatience(deadline_seconds=2, attempts=1)
        with (
            client_of("http://cal.example/v2", KEY, redis_client, patience=patience) as calcom,
            suppress(TransientError),
        ):
            calcom.me()  # where no proxy is used, there is no such host
    assert bool(heard.requests) == proxied


def test_no_variable_puts_a_proxy_before_this_machine_and_none_means_none(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with raw_server() as (url, _):
        for network, address in ((Network(), url), (Network(proxy="none"), url.replace("127.0.0.1", "localhost"))):
            with client_of(address, KEY, redis_client, network=network) as calcom:
                assert calcom.me().username == "a"


def test_a_proxy_that_is_away_or_refuses_is_named_and_leaves_no_doubt(redis_client: redis.Redis, ours: Authority):
    with raw_server(tls=ours.server_context("cal.example")) as (url, heard):
        with tunnelling_to(port_of(url), status=407) as proxy:
            error = failing(redis_client, "https://cal.example/v2", Network(ours.file, f"http://{proxy.address}"))
        assert "the proxy refuses the connection to Cal.com (407)" in str(error)
        gone = failing(redis_client, "https://cal.example/v2", Network(ours.file, "http://eve:s3cret-pw@127.0.0.1:1"))
        assert "the proxy cannot be reached" in str(gone)
    assert not heard.requests
    assert "CALCOM_PROXY" in gone.advice
    assert "s3cret-pw" not in str(gone)


def test_a_proxy_that_is_none_of_http_is_refused(redis_client: redis.Redis):
    with pytest.raises(ConfigurationError, match="CALCOM_PROXY"):
        client_of("http://cal.example/v2", KEY, redis_client, network=Network(proxy="socks5://x:1")).__enter__()


# --- Redis and PostgreSQL ------------------------------------------------------------------------------------


@contextmanager
def greeting(context: ssl.SSLContext, *, postgres: bool) -> Generator[int]:
    """A port that does no more than to show its certificate, asked for as PostgreSQL is where told so."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                with plain, suppress(OSError):
                    if postgres:
                        assert struct.unpack("!ii", plain.recv(8)) == (8, 80877103)  # SSLRequest
                        plain.sendall(b"S")
                    with context.wrap_socket(plain, server_side=True) as secured:
                        secured.recv(1000)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@pytest.mark.parametrize(
    ("host", "ends", "told"),
    [
        ("127.0.0.1", None, "is not trusted"),
        ("127.0.0.1", datetime.now(UTC) - timedelta(days=1), "has expired"),
        ("redis.example", None, "is for another host"),
    ],
)
def test_redis_names_what_is_wrong_with_its_certificate(
    ours: Authority, theirs: Authority, host: str, ends: datetime | None, told: str
):
    trusted = theirs if told == "is not trusted" else ours
    with greeting(ours.server_context(host, ends=ends), postgres=False) as port:
        url = f"rediss://:s3cret-pw@127.0.0.1:{port}/0?ssl_ca_certs={trusted.file}"
        with open_redis(url) as client, pytest.raises(CacheError) as raised, redis_failures("Looking"):
            client.ping()
    assert f"the certificate of Redis {told}" in str(raised.value)
    assert "ssl_ca_certs" in raised.value.advice


@pytest.mark.parametrize(
    ("host", "known", "told"),
    [
        ("127.0.0.1", "theirs", "is not trusted"),
        ("db.example", "ours", "is for another host"),
        ("127.0.0.1", "nobody", "there is no file of certificates"),
    ],
)
def test_postgresql_names_what_is_wrong_with_its_certificate(
    ours: Authority, theirs: Authority, host: str, known: str, told: str, tmp_path: Path
):
    file = {"ours": ours.file, "theirs": theirs.file, "nobody": tmp_path / "none.pem"}[known]
    with greeting(ours.server_context(host), postgres=True) as port:
        url = f"postgresql://me:s3cret-pw@127.0.0.1:{port}/db?sslmode=verify-full&sslrootcert={file}"
        with open_database(url, schema="x") as database, pytest.raises(StoreError) as raised:
            database.server_version()
    assert told in str(raised.value)
    assert "certificate" in str(raised.value)
    assert "sslrootcert" in raised.value.advice
    assert os.fspath(file) not in str(raised.value)
