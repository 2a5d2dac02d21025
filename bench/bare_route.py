"""The least that an HTTP answer costs: one route of Starlette, the bytes of BENCH_BODY from memory, no checks at all.

Run by `bench.availability_http` under the same uvicorn, httptools and uvloop included, as ours.
"""

import os

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BODY = os.environ.get("BENCH_BODY", "").encode()


async def answer(_request: Request) -> Response:
    return Response(BODY, media_type="application/json")


if __name__ == "__main__":
    routes = [Route("/v2/slots", answer), Route("/health", answer)]
    port = int(os.environ["BENCH_PORT"])
    uvicorn.run(Starlette(routes=routes), port=port, http="httptools", loop="auto", access_log=False, log_config=None)
