"""Secrets in files: `CALCOM_API_KEY_FILE=/run/secrets/key` says the same as `CALCOM_API_KEY`.

Docker, Kubernetes and systemd hand secrets over as files; a variable shows in `docker inspect` and in /proc. Each
secret setting has its file, the addresses of the servers included, for they hold passwords.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

SUFFIX = "_FILE"
_LONGEST_BYTES = 65_536  # a list of tokens has a few kilobytes; what is longer is some other file


def other_spelling(name: str) -> str:
    """The variable that says the same in the other way."""
    return name.removesuffix(SUFFIX) if name.endswith(SUFFIX) else name + SUFFIX


def read_secrets(values: Mapping[str, str], secrets: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """The values with each secret read out of the file that was named for it, and what is wrong with those files.

    `secrets` are the variables that may be given so. One given in both ways is refused: nobody knows which is meant.
    """
    found, problems = dict(values), list[str]()
    for name in secrets:
        path = found.pop(name + SUFFIX, "").strip()
        if not path:
            continue
        if found.get(name, "").strip():
            problems.append(f"{name} and {name}{SUFFIX} are both set")
            continue
        try:
            found[name] = secret_in(Path(path))
        except ValueError as error:
            problems.append(f"{name}{SUFFIX} names {path}, {error}")
    return found, problems


def secret_in(path: Path) -> str:
    """The text of a file without the line break at its end.

    Raises:
        ValueError: it cannot be read, is empty, or is no text of a secret's size; what it holds is not quoted.
    """
    try:
        with path.expanduser().open("rb") as file:
            content = file.read(_LONGEST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"which cannot be read ({error.strerror})") from None
    if len(content) > _LONGEST_BYTES:
        raise ValueError(f"which is longer than {_LONGEST_BYTES} bytes")
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("which is no text in UTF-8") from None
    if not text.strip():
        raise ValueError("which is empty")
    return text
