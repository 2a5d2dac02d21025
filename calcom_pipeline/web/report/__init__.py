"""The report as a page: one self-contained document, for a file or live; nothing in it is loaded from elsewhere."""
