"""Keeps a business's own services and its Cal.com account in sync.

Application code imports `calcom_pipeline.service`; Dagster loads `calcom_pipeline.definitions`.
"""

from typing import TYPE_CHECKING, Any

from calcom_pipeline.zone_rules import use_locked_rules

if TYPE_CHECKING:
    from calcom_pipeline.defs.component import CalcomAccount

__all__ = ["CalcomAccount"]

use_locked_rules()

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The Dagster component, for `type: calcom_pipeline.CalcomAccount`; Dagster is imported for it alone."""
    if name != "CalcomAccount":
        raise AttributeError(name)
    from calcom_pipeline.defs.component import CalcomAccount

    return CalcomAccount


def __dir__() -> list[str]:
    """With the component, since `dg` looks for components here."""
    return sorted({*globals(), *__all__})
