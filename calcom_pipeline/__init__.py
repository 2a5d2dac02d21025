"""Keeps a business's own services and its Cal.com account in sync.

Application code imports `calcom_pipeline.service`; Dagster loads `calcom_pipeline.definitions`.
"""

from calcom_pipeline.zone_rules import use_locked_rules

use_locked_rules()

__version__ = "0.1.0"
