"""Prints `.env.example`: `python -m calcom_pipeline.settings > .env.example`."""

import sys

from calcom_pipeline.settings.example import example

sys.stdout.write(example())
