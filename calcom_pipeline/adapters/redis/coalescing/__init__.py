"""One fetch for all who ask for the same thing at once, over threads and processes."""
