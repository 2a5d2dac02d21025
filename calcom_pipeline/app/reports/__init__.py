"""The report: everything about an account on one page, of what is stored here."""
