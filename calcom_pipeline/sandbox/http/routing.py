"""From method, path and version to a route. Where nothing fits, Cal.com answers 404 before any guard ran."""

from collections.abc import Iterable, Sequence
from urllib.parse import unquote_to_bytes

from calcom_pipeline.sandbox.core.errors import bad_request
from calcom_pipeline.sandbox.http.call import Route

Params = dict[str, str]


class Router:
    """Finds routes. Literal segments win over parameters, in the order in which routes were given."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_shape: dict[tuple[str, int], list[tuple[Sequence[str], Route]]] = {}
        for route in routes:
            parts = route.pattern.strip("/").split("/")
            self._by_shape.setdefault((route.method, len(parts)), []).append((parts, route))
        for candidates in self._by_shape.values():
            candidates.sort(key=lambda candidate: [part.startswith("{") for part in candidate[0]])

    def find(self, method: str, path: str, version: str) -> tuple[Route, Params] | None:
        """The route for a path (still percent-encoded) and its decoded parameters."""
        parts = path.strip("/").split("/")
        wanted = "GET" if method == "HEAD" else method
        for pattern, route in self._by_shape.get((wanted, len(parts)), ()):
            if version in route.versions and _fits(pattern, parts):
                return route, _params(pattern, parts)
        return None


def _fits(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    return all(
        (bool(given) if expected.startswith("{") else expected == given.lower() or expected == given)
        for expected, given in zip(pattern, parts, strict=True)
    )


def _params(pattern: Sequence[str], parts: Sequence[str]) -> Params:
    return {
        expected[1:-1]: _decode(given)
        for expected, given in zip(pattern, parts, strict=True)
        if expected.startswith("{")
    }


def _decode(part: str) -> str:
    """Express's decoding of a path parameter: what is no UTF-8 is a URIError, answered with 400."""
    if not _is_well_encoded(part):
        raise bad_request(f"Failed to decode param '{part}'")
    try:
        return unquote_to_bytes(part).decode()
    except UnicodeDecodeError as error:
        raise bad_request(f"Failed to decode param '{part}'") from error


def _is_well_encoded(part: str) -> bool:
    pieces = part.split("%")[1:]
    return all(len(piece) > 1 and all(c in "0123456789abcdefABCDEF" for c in piece[:2]) for piece in pieces)
