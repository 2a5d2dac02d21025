"""Accounts as data, for tests: a folder of `defs.yaml` files."""

from pathlib import Path
from typing import Any

import yaml

from calcom_pipeline.settings.described import COMPONENT, FILE_NAME


def accounts_alone(folder: Path, accounts: int) -> dict[str, str]:
    """So many accounts described in a new folder: variables of a location of them, whose servers do not exist."""
    folder.mkdir(parents=True)
    for number in range(accounts):
        describe(folder, f"agency_{number}", key=f"cal_key_of_agency_{number}", team_ids=[number])
    return {
        "CALCOM_ENV_FILE": "",
        "CALCOM_ACCOUNTS_DIR": str(folder),
        "CALCOM_LOCAL": "never",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1",
        "CALCOM_API_KEY": "cal_own",
    }


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
