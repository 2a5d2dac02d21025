"""Accounts as data, for tests: a folder of `defs.yaml` files."""

from pathlib import Path
from typing import Any

import yaml

from calcom_pipeline.settings.described import COMPONENT, FILE_NAME


def describe(folder: Path, name: str, *, key: str | None = None, **attributes: Any) -> Path:
    """Write an account's file; `key` goes into a file of its own. Answers the account's file."""
    file = folder / name / FILE_NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    if key is not None:
        secret = folder / f"{name}.key"
        secret.write_text(key)
        attributes = {"api_key": {"file": str(secret)}, **attributes}
    file.write_text(yaml.safe_dump({"type": COMPONENT, "attributes": attributes}))
    return file
