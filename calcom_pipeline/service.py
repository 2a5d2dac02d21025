"""`CalcomService` under its public name: `from calcom_pipeline.service import CalcomService`."""

from calcom_pipeline.facade import CalcomService

__all__ = ["CalcomService"]
