"""What all groups of settings share."""

from pydantic import BaseModel, ConfigDict


class SettingsGroup(BaseModel):
    """Never changed once read, and a wrong value is not quoted: it may be a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
