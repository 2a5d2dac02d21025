"""The text of `.env.example`."""

from pydantic_core import PydanticUndefined

from calcom_pipeline.settings.loader import variable_of
from calcom_pipeline.settings.model import GROUPS, SECRET_FIELDS, Settings


def example() -> str:
    """Every setting with its default and its description, group by group."""
    lines = [
        "# Every setting, with its default. Nothing has to be set: then all of it runs locally, on a sandbox.",
        "# A secret may stand in a file as well: CALCOM_API_KEY_FILE=/run/secrets/key. These are secrets:",
        *(f"#   {variable_of(name)}" for name in Settings.model_fields if name in SECRET_FIELDS),
        "",
    ]
    for name, field in [each for group in GROUPS for each in group.model_fields.items()]:
        default = "" if field.default in (None, (), PydanticUndefined) else field.default
        lines += [f"# {field.description}", f"# {variable_of(name)}={default}", ""]
    return "\n".join(lines)
