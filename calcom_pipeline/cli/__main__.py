"""`python -m calcom_pipeline.cli` is the console script."""

from calcom_pipeline.cli import main

main()
