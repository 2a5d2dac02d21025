"""While a location is made, what Dagster works out again for each account and each of its jobs is worked out once.

Each of the functions below answers the same to the same question, and nobody changes what it answered. Asked anew they
took a third of the time in which a hundred accounts are made. One that a release of Dagster does not have is left.
"""

import functools
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any, Final, cast

from dagster_shared.utils.warnings import disable_dagster_warnings

#: Where it is defined, and its name; that of a method behind its class's.
ASKED_OFTEN: Final = (
    ("docstring_parser", "parse"),  # docstrings are looked through for parameters
    ("dagster._core.definitions.resource_annotation", "get_resource_args"),
    ("dagster._core.types.dagster_type", "resolve_dagster_type"),
    ("dagster._config.pythonic_config.conversion_utils", "infer_schema_from_config_annotation"),
    ("dagster._core.definitions.external_asset", "create_unexecutable_external_asset_from_assets_def"),
    ("dagster._core.definitions.assets.job.asset_job", "get_asset_graph_for_job"),
    ("dagster._core.definitions.job_definition", "JobDefinition._get_resource_requirements"),
    ("dagster._core.definitions.assets.definition.assets_definition", "AssetsDefinition.get_resource_requirements"),
    ("dagster._utils.schedules", "is_valid_cron_string"),
)
#: Where classes have a property that answers for all instances alike, and its name.
ASKED_OF_CLASSES: Final = (("dagster._core.definitions.resource_requirement", "expected_type"),)
#: Whether each asset of a job has its resources: it was asked when it got them, and the job is asked as a whole. A
#: function of a module, there alone.
ASKED_BEFORE: Final = (("dagster._core.definitions.assets.job.asset_job", "ensure_requirements_satisfied"),)
_OF_DAGSTER: Final = "dagster"

_Answer = Callable[..., Any]


@contextmanager
def asked_once() -> Generator[None]:
    """For the block, in which this thread alone makes definitions.

    What a module of Dagster's that is first imported in the block has kept of it asks each time afterwards.
    """
    # Dagster hides notices of what is new or old in it, and shows them again, a hundred times an account. Here they are
    # hidden once; the tests make the same definitions outside, where one is an error.
    with ExitStack() as stack, disable_dagster_warnings():
        for module, name in ASKED_OFTEN:
            for place, attribute in places_of(module, name):
                _exchange(place, attribute, _remembering(_of(place)[attribute], stack), stack)
        for module, name in ASKED_BEFORE:
            place = _module(module)
            if name in _of(place):
                _exchange(place, name, _nothing, stack)
        for module, name in ASKED_OF_CLASSES:
            for place, answer in answers_of_classes(module, name):
                _exchange(place, name, answer, stack)
        yield


def _exchange(place: Any, name: str, answer: Any, until: ExitStack) -> None:
    until.callback(setattr, place, name, _of(place)[name])
    setattr(place, name, answer)


def _module(name: str) -> Any:
    """A module of Dagster's; an empty one where this release has none of that name."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return ModuleType(name)


def places_of(module: str, name: str) -> list[tuple[Any, str]]:
    """Where Dagster looks a function or a method up: its class, or the modules of Dagster's that have it."""
    owner, _, attribute = name.rpartition(".")
    defined = _module(module)
    if owner:
        place = getattr(defined, owner, None)
        return [(place, attribute)] if place is not None and attribute in _of(place) else []
    answer = getattr(defined, name, None)
    known = [each for each_name, each in list(sys.modules.items()) if each_name.split(".")[0].startswith(_OF_DAGSTER)]
    return [(each, name) for each in known if each and answer is not None and _of(each).get(name) is answer]


def answers_of_classes(module: str, name: str) -> list[tuple[type, Any]]:
    """The classes of a module that have such a property, and what it answers without looking at an instance."""
    found: list[tuple[type, Any]] = []
    for place in cast("Mapping[str, object]", vars(_module(module))).values():
        if not isinstance(place, type):
            continue
        asked = vars(place).get(name)
        if isinstance(asked, property) and asked.fget is not None:
            with suppress(AttributeError):  # it does look at the instance
                found.append((place, asked.fget(None)))
    return found


def _of(place: Any) -> Mapping[str, _Answer]:
    return cast("Mapping[str, _Answer]", vars(place))


def _nothing(*_: Any, **__: Any) -> None:
    """What a check answers that finds nothing wrong."""


def _remembering(answer: _Answer, until: ExitStack) -> _Answer:
    remembered: dict[Any, tuple[Any, ...]] | None = {}

    def forget() -> None:
        nonlocal remembered
        remembered = None

    @functools.wraps(answer)
    def once(*args: Any, **more: Any) -> Any:
        known = remembered
        if known is None:
            return answer(*args, **more)
        # Texts by value; of other things the one that was asked about counts, as that costs nothing to tell.
        by = [each if type(each) is str else id(each) for each in args]
        if more:
            by += [len(args), *more, *(each if type(each) is str else id(each) for each in more.values())]
        key = by[0] if len(by) == 1 else tuple(by)
        if key not in known:
            given = answer(*args, **more)
            # What was asked about stays, and its id with it.
            known[key] = tuple(cast("Iterator[Any]", given)) if isinstance(given, Iterator) else given, args, more
        return known[key][0]

    until.callback(forget)
    return once
