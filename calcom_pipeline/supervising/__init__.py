"""Keeps a family of processes: what dies is started again, and nothing outlives the one that keeps them.

What belongs here: services and their restarts, the family's guard, the log they share. What does not: what the services
are (`cli/up.py`); this package knows no other part of calcom_pipeline but `local`'s way with processes.

How it works. Every service is a child in a session of its own and carries the family's name in its environment, which
whatever it starts inherits: runs, steps, code servers. The guard, a process beside the family, reads a pipe that only
the keeper has open for writing; when that ends, however the keeper died, the guard ends everything that carries the
name. Should keeper and guard be killed in one instant, the kernel still tells the services (Linux), and the next keeper
ends what is left, by the record that it finds.
"""
