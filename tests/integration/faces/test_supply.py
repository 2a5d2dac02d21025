"""What is shipped: a wheel that is the same wherever it is built, a list of what it is made of, an honest audit."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import CHECKOUT

BUILT_FROM = ("calcom_pipeline", "sql", "dagster_home/dagster.yaml", "workspace.yaml", "pyproject.toml", "README.md",
              "LICENSE")  # fmt: skip
EPOCH = "1700000000"


def built(source: Path, folder: Path) -> Path:
    """The wheel, made in a copy of the checkout whose files are of another age and order."""
    for name in BUILT_FROM:
        there = source / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if (CHECKOUT / name).is_dir():
            shutil.copytree(
                CHECKOUT / name, there, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copyfile
            )
        else:
            shutil.copyfile(CHECKOUT / name, there)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        folder,
    ]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "PYTHONHASHSEED": str(len(str(source)))}
    subprocess.run([*command, source], check=True, env=environment, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.proof
def test_the_wheel_is_the_same_byte_by_byte_wherever_it_is_built(tmp_path: Path):
    one = built(tmp_path / "one", tmp_path / "first")
    (tmp_path / "elsewhere").mkdir()
    other = built(tmp_path / "elsewhere" / "and-deeper", tmp_path / "second")
    assert one.name == other.name
    digests = {hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in (one, other)}
    print(f"{one.name}: {digests}")
    assert len(digests) == 1
    names = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", one], check=True, capture_output=True, text=True
    ).stdout
    assert "_shipped/sql/roles.sql" in names
    assert "calcom_pipeline/accounts/__init__.py" in names


def made_of(folder: Path) -> dict[str, object]:
    """What `make sbom` writes."""
    recipe = re.search(r"cyclonedx-py (requirements .*?)--output-file", (CHECKOUT / "Makefile").read_text(), re.DOTALL)
    assert recipe is not None
    words = recipe[1].replace("\\\n", " ").split()
    file = folder / "sbom.json"
    program = Path(sys.executable).with_name("cyclonedx-py")
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    subprocess.run(
        [program, *words, "--output-file", file], check=True, cwd=CHECKOUT, env=environment, capture_output=True
    )
    return json.loads(file.read_text())


@pytest.mark.proof
def test_the_bill_of_materials_names_every_locked_package_and_is_the_same_each_time(tmp_path: Path):
    found = made_of(tmp_path)
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    components = found["components"]
    assert isinstance(components, list)
    listed = {f"{each['name']}=={each['version']}" for each in components}
    lines = [line for line in (CHECKOUT / "requirements.lock").read_text().splitlines() if "==" in line]
    locked = {re.sub(r"\[.*?\]", "", line.split(";")[0].strip()) for line in lines}
    assert listed == locked
    assert "serialNumber" not in found, "nothing in it changes from one time to the next"
    (tmp_path / "again").mkdir()
    assert made_of(tmp_path / "again") == found


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ("No known vulnerabilities found", 0, "No known vulnerabilities in"),
        ("Found 1 known vulnerability in 1 package\nx 1.0 CVE-1", 1, "CVE-1"),
        ("ERROR: Could not connect to the service", 0, "Nothing was audited: pip-audit ended with"),
        ("No known vulnerabilities found\n{unknown}", 0, "are not known where advisories were asked for"),
    ],
)
def test_an_audit_that_could_not_be_made_does_not_look_like_one_that_passed(
    answer: str, code: int, said: str, tmp_path: Path
):
    """pip-audit is replaced: whether advisories can be asked for differs from machine to machine."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(CHECKOUT / ".ci" / "audit", tmp_path / ".ci" / "audit")
    shutil.copy(CHECKOUT / "requirements.lock", tmp_path)
    locked = (tmp_path / "requirements.lock").read_text().count("==")
    program = tmp_path / ".venv-audit" / "bin" / "pip-audit"
    program.parent.mkdir(parents=True)
    unknown = "\n".join(f"p{n} could not be audited" for n in range(locked))
    program.write_text(
        f"#!/bin/sh\ncat <<'EOF'\n{answer.format(unknown=unknown)}\nEOF\nexit {0 if 'No known' in answer else 1}\n"
    )
    program.chmod(0o755)
    ran = subprocess.run([tmp_path / ".ci" / "audit"], capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert said in ran.stdout
