"""The Starlette application of one sandbox: the API behind its gate, and the control surface if it was asked for."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.routing import Route as StarletteRoute

from calcom_pipeline.sandbox.bookings import (
    actions,
    cancel,
    create_api,
    legacy_api,
    listing,
    people,
    reading,
    reschedule,
)
from calcom_pipeline.sandbox.control.api import control_routes
from calcom_pipeline.sandbox.event_types import legacy_api as legacy_event_types
from calcom_pipeline.sandbox.event_types import legacy_read_api, personal_api, team_api
from calcom_pipeline.sandbox.hooks import api as hooks_api
from calcom_pipeline.sandbox.hooks.meetings import watch_meetings
from calcom_pipeline.sandbox.http.call import Route
from calcom_pipeline.sandbox.http.gate import Gate
from calcom_pipeline.sandbox.http.routing import Router
from calcom_pipeline.sandbox.people import api as people_api
from calcom_pipeline.sandbox.runtime import Sandbox
from calcom_pipeline.sandbox.slots import api as slots_api
from calcom_pipeline.sandbox.slots import reservations

CONTROL_PREFIX: Final = "/__sandbox"
API_ROUTES: Final[list[Route]] = [
    *people_api.ROUTES,
    *personal_api.ROUTES,
    *legacy_event_types.ROUTES,
    *legacy_read_api.ROUTES,
    *team_api.ROUTES,
    *slots_api.ROUTES,
    *reservations.ROUTES,
    *listing.ROUTES,
    *create_api.ROUTES,
    *reading.ROUTES,
    *cancel.ROUTES,
    *reschedule.ROUTES,
    *actions.ROUTES,
    *people.ROUTES,
    *legacy_api.ROUTES,
    *hooks_api.ROUTES,
]


async def _health(_: Request) -> PlainTextResponse:
    return PlainTextResponse("OK")


def build_app(sandbox: Sandbox, *, control: bool) -> Starlette:
    """The ASGI application; the control surface exists only if `control` says so."""
    routes: list[StarletteRoute | Mount] = [StarletteRoute("/health", _health)]
    if control:
        routes.append(Mount(CONTROL_PREFIX, routes=control_routes(sandbox)))
    routes.append(Mount("/", app=Gate(sandbox, Router(API_ROUTES))))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with watch_meetings(sandbox):
            yield

    return Starlette(routes=routes, lifespan=lifespan)
