"""Accounts as a component: `dg` finds it, scaffolds it, and other projects load it."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import dagster as dg
import pytest

import calcom_pipeline
from calcom_pipeline.defs.component import CalcomAccount, CalcomAccountScaffolder
from calcom_pipeline.settings import load_settings
from tests.support.described_accounts import keys

pytestmark = pytest.mark.timeout(300)
DG = str(Path(sys.executable).with_name("dg"))


def dg_says(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "CALCOM_ENV_FILE": "", "COLUMNS": "200", **environ}
    return subprocess.run(
        [DG, *arguments], env=environment, cwd=cwd, capture_output=True, text=True, check=False, timeout=240
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A Dagster project of somebody else's, in this environment."""
    package = tmp_path / "project" / "agencies"
    (package / "defs").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "definitions.py").write_text(
        "from pathlib import Path\n\nimport dagster as dg\n\n\n"
        "@dg.definitions\ndef defs():\n    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    )
    (package.parent / "pyproject.toml").write_text(
        '[project]\nname = "agencies"\nversion = "0"\n\n[tool.dg]\ndirectory_type = "project"\n\n'
        '[tool.dg.project]\nroot_module = "agencies"\nregistry_modules = ["calcom_pipeline"]\n'
    )
    return package.parent


def test_dg_finds_the_component_where_it_looks_and_scaffolds_an_account(tmp_path: Path, folder: Path):
    modules = [point.value for point in entry_points(group="dagster_dg_cli.registry_modules")]
    assert "calcom_pipeline" in modules
    assert "CalcomAccount" in dir(calcom_pipeline)
    assert calcom_pipeline.CalcomAccount is CalcomAccount
    with pytest.raises(AttributeError):
        calcom_pipeline.NoSuchComponent  # noqa: B018

    def scaffold(name: str) -> Path:
        request = dg.ScaffoldRequest(
            type_name="calcom_pipeline.CalcomAccount",
            target_path=folder / name,
            scaffold_format="yaml",
            project_root=None,
            params=None,
        )
        CalcomAccountScaffolder().scaffold(request)
        return folder / name / "defs.yaml"

    assert "variable: AGENCY_A_API_KEY" in scaffold("agency_a").read_text()
    settings = load_settings({**os.environ, "CALCOM_ACCOUNT": "agency_a", "AGENCY_A_API_KEY": "k"})
    assert (settings.account, settings.rate_limit_per_minute) == ("agency_a", 100_000), "the environment's limit"
    with pytest.raises(click.UsageError, match="is no name of an account"):
        scaffold("Agency A")
    with pytest.raises(click.UsageError, match="is described already"):
        scaffold("agency_a")


@pytest.mark.proof
def test_dg_lists_scaffolds_and_checks_accounts(project: Path):
    listed = dg_says("list", "components", cwd=project)
    assert "calcom_pipeline.CalcomAccount" in listed.stdout, listed.stderr
    made = dg_says("scaffold", "defs", "calcom_pipeline.CalcomAccount", "agency_a", cwd=project)
    assert made.returncode == 0, made.stderr + made.stdout
    file = project / "agencies" / "defs" / "agency_a" / "defs.yaml"
    assert "variable: AGENCY_A_API_KEY" in file.read_text()
    with file.open("a") as text:
        text.write("  rate_limit_per_minute: 1\n  no_such_setting: 7\n")
    refused = dg_says("check", "yaml", cwd=project)
    assert refused.returncode != 0
    assert "no_such_setting" in refused.stdout + refused.stderr
    assert "rate_limit_per_minute" in refused.stdout + refused.stderr


@pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning")
def test_another_project_loads_accounts_as_components(project: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("agency_a", "agency_b"):
        folder = project / "agencies" / "defs" / name
        folder.mkdir()
        (folder / "defs.yaml").write_text(
            "type: calcom_pipeline.CalcomAccount\nattributes:\n  api_key: {variable: " + name.upper() + "}\n"
            "  team_slug: '{{ env.SLUG }}'\n"
        )
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.setenv("CALCOM_ENV_FILE", "")
    monkeypatch.setenv("AGENCY_A", "cal_a")
    monkeypatch.setenv("SLUG", "sales")
    found = dg.ComponentTree.for_project(project).build_defs()
    repository = found.get_repository_def()
    assert repository.has_job("agency_a_full_sync")
    assert {key for key in keys(found) if key.startswith("agency_b/")} == {"agency_b/account"}, "its key is not set"
    assert CalcomAccount({"team_slug": "x"}).attributes == {"team_slug": "x"}
    for module in [name for name in sys.modules if name.split(".")[0] == "agencies"]:
        del sys.modules[module]
