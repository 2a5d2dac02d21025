"""Use cases: they read through ports, decide with the domain, write through ports, report."""
