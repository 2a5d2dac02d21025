"""Words that Cal.com accepts in a booking (fact sheet 6.5); any other is refused before anything is sent."""

_LANGUAGE_CODES = (
    "ar az bg bn ca cs da de el en es es-419 et eu fi fr he hr hu id it iw ja km ko lv nl no pl pt pt-BR ro ru sk sr "
    "sv ta th tr uk vi zh-CN zh-TW"
)
#: Of an attendee; e-mails are written in it.
LANGUAGES = frozenset(_LANGUAGE_CODES.split())
#: How a place is given.
LOCATION_TYPES = frozenset(
    {
        "address",
        "attendeeAddress",
        "attendeeDefined",
        "attendeePhone",
        "integration",
        "link",
        "organizersDefaultApp",
        "phone",
    }
)
