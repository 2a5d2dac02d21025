"""The pages of `docs/reference` that are made from code."""

from collections.abc import Callable, Mapping
from pathlib import Path

from docs.making.codes_pages import alerts_page, exit_codes_page, reasons_page
from docs.making.commands_page import commands_page
from docs.making.dagster_page import dagster_page
from docs.making.http_page import http_page
from docs.making.settings_page import settings_page

FOLDER = Path(__file__).parents[1] / "reference"
#: Each by the name of its file.
PAGES: Mapping[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "exit-codes.md": exit_codes_page,
    "reasons.md": reasons_page,
    "alerts.md": alerts_page,
    "dagster.md": dagster_page,
    "http-operations.md": http_page,
}
#: Made of a migrated schema, so that it needs a server.
TABLES_PAGE = "tables.md"
