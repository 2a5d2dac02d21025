"""Groups of endpoints: each that a module of the client makes has a circuit and is counted."""

from importlib import import_module
from pathlib import Path

from calcom_pipeline.adapters import calcom
from calcom_pipeline.adapters.calcom.client import GROUPS
from calcom_pipeline.adapters.calcom.endpoint import EndpointGroup

FOLDER = Path(calcom.__file__).parent


def test_every_group_that_a_module_makes_is_named_by_its_endpoints():
    modules = (path.relative_to(FOLDER).with_suffix("").parts for path in FOLDER.rglob("*.py"))
    loaded = [import_module(".".join((calcom.__name__, *parts))) for parts in modules if "__init__" not in parts]
    made = {value.name for module in loaded for value in vars(module).values() if isinstance(value, EndpointGroup)}
    assert made == set(GROUPS)
    assert len(GROUPS) == len(made)
