"""Services, links, plans."""
