"""When an event type that Cal.com does not list any more counts as gone."""

from pydantic import Field

from calcom_pipeline.settings.group import SettingsGroup


class EventTypeSettings(SettingsGroup):
    """When an event type that Cal.com does not list any more counts as gone."""

    event_type_proofs: int = Field(
        default=20,
        ge=1,
        le=1000,
        description="Event types missing from a listing that are read one by one in a look; a call each.",
    )
    absence_looks: int = Field(
        default=3, ge=2, le=100, description="What cannot be proven gone counts as gone after so many looks in a row"
    )
    absence_minutes: float = Field(
        default=10.0,
        ge=0,
        le=10_080,
        description="... over at least so long: a bad deploy's empty answers are over.",
    )
