"""Use cases: read, decide (domain), write (ports), report. One file per job, no driver in sight."""
