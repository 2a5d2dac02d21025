"""What is kept of people who book."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.validators import Optional_


class PrivacySettings(SettingsGroup):
    """What is kept of people who book."""

    attendee_policy: Literal["keep", "hash", "drop"] = Field(
        default="keep",
        description="Who booked. hash: addresses as keyed hashes, no names or texts; drop: nothing of them. With both, "
        "nothing of a record that cannot be read.",
    )
    privacy_key: Annotated[SecretStr | None, Optional_] = Field(
        default=None, description="Key of hashed addresses and of erasures. Unset: made once, kept in the database."
    )
