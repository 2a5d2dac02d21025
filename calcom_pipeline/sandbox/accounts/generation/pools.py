"""The words of generated accounts: names, texts, places. Nothing in them needs an escape in JSON."""

from typing import Final

FIRST_NAMES: Final = (
    "Amara", "Anna", "Ben", "Carlos", "Chiara", "Dana", "Elif", "Emil", "Farah", "Felix", "Grace", "Hana", "Ines",
    "Ivo", "Jana", "Jonas", "Kofi", "Lara", "Leo", "Lin", "Malik", "Marta", "Mei", "Nadia", "Nils", "Noor", "Olga",
    "Omar", "Paula", "Priya", "Quinn", "Rafael", "Rosa", "Sami", "Selma", "Tariq", "Tessa", "Uma", "Viktor", "Wanda",
    "Yara", "Zoe",
)  # fmt: skip
LAST_NAMES: Final = (
    "Abel", "Acosta", "Adeyemi", "Becker", "Bianchi", "Chen", "Costa", "Dubois", "Egger", "Fischer", "Garcia", "Haddad",
    "Hansen", "Ito", "Jansen", "Kaya", "Keller", "Kowalski", "Larsen", "Lopez", "Mensah", "Meyer", "Moreau", "Nakamura",
    "Novak", "Okafor", "Patel", "Petrov", "Quiroga", "Rossi", "Sato", "Schmidt", "Silva", "Tanaka", "Tran", "Ueda",
    "Varga", "Weber", "Wolf", "Yilmaz", "Zhang",
)  # fmt: skip
TEAM_ZONES: Final = (
    "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney", "Europe/London", "America/Sao_Paulo",
)  # fmt: skip
TEAM_NAMES: Final = ("Support", "Sales", "Onboarding", "Success", "Training", "Advice", "Field Service", "Studio")
TITLES: Final = (
    "Intro call", "Consultation", "Workshop", "Check-in", "Product demo", "Follow-up", "Fitting", "Coaching", "Review",
    "Planning", "Photo session", "Inspection", "Interview", "Tutoring", "Massage", "Measurement", "Tax advice",
    "Site visit", "Kick-off", "Retrospective",
)  # fmt: skip
_SENTENCES: Final = (
    "Please bring the documents that we sent you by mail.",
    "We will look at what you need and make a plan together.",
    "The first ten minutes are for your questions.",
    "Parking is behind the building, the entrance is at the side.",
    "If you are late, call us and we will try to wait.",
    "You will get a summary within two working days.",
    "A reminder comes the day before.",
    "The room is on the ground floor and has no steps.",
    "Everything we talk about stays between us.",
    "Have your customer number at hand.",
)
_WISHES: Final = (
    "I would like to talk about the offer from last week.",
    "My colleague joins for the second half.",
    "Is there a charger for an electric car nearby?",
    "We need an invoice with the order number on it.",
    "Last time the sound was bad, could you check it before?",
    "I can only stay until the end of the hour.",
    "Please use the side entrance, the main one is being rebuilt.",
    "There are three of us, and a dog.",
    "We would prefer to speak German if that is possible.",
    "The old contract ends this month, so it is a little urgent.",
)


def text_of(sentences: tuple[str, ...], number: int, count: int) -> str:
    """`count` sentences of a pool, another mix for every number."""
    return " ".join(sentences[(number * 7 + place * (1 + number % 3)) % len(sentences)] for place in range(count))


DESCRIPTIONS: Final = tuple(text_of(_SENTENCES, number, number % 11) for number in range(40))
NOTES: Final = (*[""] * 12, *(text_of(_WISHES, number, 2 + number % 5) for number in range(52)))
CANCELLATIONS: Final = ("Something came up", "I am ill", "Booked twice by mistake", "No longer needed", "Host is away")
REJECTIONS: Final = ("Not in our area", "Please choose a longer appointment", "We are full that week")
MOVES: Final = ("Train is late", "Conflict with another meeting", "Need more time to prepare")
METADATA: Final[tuple[dict[str, str], ...]] = (
    {},
    {"source": "website"},
    {"source": "newsletter", "campaign": "spring"},
    {"source": "partner", "partnerId": "p-17"},
)
FIELD_SLUGS: Final = ("company", "order-number", "topic", "how-did-you-hear")
ANSWERS: Final = ("Acme", "4711", "Renewal", "A friend", "Billing", "Search engine", "0815", "Blue Sky Ltd")
