"""What the pipeline keeps: one asset per table or cache that somebody looks at."""
