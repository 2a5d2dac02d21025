"""The report, and what people and checks ask about everything; all of it of what is stored here."""
