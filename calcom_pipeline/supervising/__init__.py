"""Supervises a family of processes: what dies is started again, and nothing outlives the supervisor.

What belongs here: services and their restarts, the family's guard, the log they share. What does not: what the services
are (`cli/up.py`); this package knows no other part of calcom_pipeline but `local`'s way with processes.

How it works. Every service is a child in a session of its own and carries the family's name in its environment, which
whatever it starts inherits: runs, steps, code servers. The guard, a process beside the family, reads a pipe that only
the supervisor has open for writing; when that ends, however the supervisor died, the guard ends everything that carries
the name. Should supervisor and guard be killed in one instant, the kernel still signals the services (Linux), and the
next supervisor ends what is left, by the record that it finds.
"""
