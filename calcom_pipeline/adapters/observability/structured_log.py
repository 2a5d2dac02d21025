"""Events as one JSON object per line on the standard loggers `calcom_pipeline.<name>`, redacted.

Nothing is configured globally: whoever runs the process decides with `logging` where the lines go and from which
level. A disabled level costs a comparison.
"""

import logging
from collections.abc import MutableMapping
from typing import Any

import structlog

from calcom_pipeline.domain.redaction import redacted_value, without_secrets

ROOT = "calcom_pipeline"


def event_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger of named events with fields: `log.info("call_completed", status=200)`."""
    return structlog.wrap_logger(
        logging.getLogger(f"{ROOT}.{name}"),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_secrets,
            structlog.processors.JSONRenderer(sort_keys=True),
            _line_without_secrets,  # what was no string until now: an error, a path, the name of a field
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _without_secrets(logger: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    del logger, method
    return {name: redacted_value(value) for name, value in fields.items()}


def _line_without_secrets(logger: Any, method: str, line: Any) -> Any:
    del logger, method
    return without_secrets(line) if isinstance(line, str) else line
