"""What the HTTP API is configured with, out of the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from calcom_pipeline.settings import Settings
from calcom_pipeline.web.report.page import PageOptions


@dataclass(frozen=True, slots=True)
class WebOptions:
    """Bounds, tokens by name, origins that browsers may ask from, parts that are off. No tokens: everybody may ask."""

    tokens: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    origins: tuple[str, ...] = ()
    off: frozenset[str] = frozenset()
    requests_per_minute: float = 3000.0
    #: What a process lets in by itself while requests cannot be counted together. None: all.
    share_per_minute: float | None = None
    threads: int = 16
    write_threads: int = 8
    read_seconds: float = 35.0
    write_seconds: float = 120.0
    longest_body_bytes: int = 100 * 1024
    longest_header_bytes: int = 16 * 1024
    body_seconds: float = 10.0
    fresh_seconds: int = 0
    stop_seconds: float = 20.0
    page: PageOptions = field(default_factory=PageOptions)
    report_fresh_seconds: float = 10.0
    session_seconds: float = 12 * 3600.0

    @classmethod
    def of(cls, settings: Settings) -> "WebOptions":
        """As set."""
        s = settings
        return cls(
            tokens=s.http_named_tokens,
            origins=s.http_origins,
            off=frozenset(s.http_off),
            requests_per_minute=s.http_requests_per_minute,
            share_per_minute=s.http_requests_per_minute / s.http_workers,
            threads=s.http_threads,
            write_threads=s.http_write_threads,
            read_seconds=s.http_read_seconds,
            write_seconds=s.http_write_seconds,
            longest_body_bytes=s.http_body_kilobytes * 1024,
            longest_header_bytes=s.http_header_kilobytes * 1024,
            body_seconds=s.http_body_seconds,
            fresh_seconds=s.http_fresh_seconds,
            stop_seconds=s.http_stop_seconds,
            page=replace(PageOptions.of(s), live=True, refresh_seconds=s.report_refresh_seconds),
            report_fresh_seconds=s.report_fresh_seconds,
            session_seconds=s.report_session_hours * 3600,
        )
