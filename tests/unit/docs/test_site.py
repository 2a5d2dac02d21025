"""The website: it builds with no complaint, its links lead somewhere, and it loads nothing from anywhere."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

from docs.making.site import BESIDE, INSTEAD, on_page_markdown

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"


class Loaded(HTMLParser):
    """Addresses that a browser asks by itself for."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video"):
            self.addresses.append(given.get("src") or "")
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev", "alternate"):
            self.addresses.append(given.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder))
    build(config)  # raises on every warning: a page that is missing, one that no menu has, a link to nowhere
    return folder


def menu(entries: list[dict[str, object]]) -> Iterator[str]:
    for entry in entries:
        for value in entry.values():
            if isinstance(value, list):
                yield from menu(value)
            else:
                yield str(value)


def test_the_site_builds_without_a_complaint_and_loads_nothing_from_outside(site: Path):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text())
        assert loaded.addresses
        assert [address for address in loaded.addresses if re.match(r"\w+:|//", address)] == [], page.name
    assert "mermaid" not in {*re.findall(r'class="([\w-]+)"', (site / "index.html").read_text())}


def test_nothing_of_python_is_on_the_site(site: Path):
    assert [path.name for path in site.rglob("*") if path.suffix in (".py", ".pyc")] == []


def test_the_first_page_is_the_readme_and_its_links_stay_on_the_site(site: Path):
    first = (site / "index.html").read_text()
    assert "Two commands" in first
    targets = set(re.findall(r'href="([^"#]+)', first))
    assert {"reference/settings.html", "architecture.html", "project/figures.html"} <= targets
    assert [target for target in targets if target.startswith("docs/") or target.endswith(".md")] == []


def test_every_page_is_in_the_menu_once():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    named = list(menu(config["nav"]))
    written = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    assert sorted(named) == sorted(written | set(BESIDE.values()))


@pytest.mark.parametrize("path", [*BESIDE, *INSTEAD])
def test_what_stands_beside_the_docs_is_there(path: str):
    assert (ROOT / path).is_file()


class PageAt:
    """As much of a page of MkDocs as the links of one need."""

    def __init__(self, place: str) -> None:
        self.file = self
        self.src_uri = place


@pytest.mark.parametrize(
    ("place", "written", "led"),
    [
        ("index.md", "[a](docs/ci.md)", "[a](ci.md)"),
        ("index.md", "![a](docs/report.png)", "![a](report.png)"),
        ("index.md", "[.env.example](.env.example)", "[.env.example](reference/settings.md)"),
        ("accounts.md", "[.env.example](../.env.example)", "[.env.example](reference/settings.md)"),
        ("accounts.md", "[map](architecture.md#layers)", "[map](architecture.md#layers)"),
        ("how-to/runbooks.md", "[exit](../reference/exit-codes.md)", "[exit](../reference/exit-codes.md)"),
        ("how-to/runbooks.md", "[front](../../README.md#commands)", "[front](../index.md#commands)"),
        ("deploy.md", "[deploy/celery](../deploy/celery)", "deploy/celery"),
        ("deploy.md", "[roles](../sql/roles.sql)", "roles (sql/roles.sql)"),
        ("accounts.md", "| `take a\\|b` |", "| <code>take a&#124;b</code> |"),
        ("deploy.md", "[nothing](../no/such/file)", "[nothing](../no/such/file)"),
        ("deploy.md", "[there](https://cal.com/docs) [here](#here)", "[there](https://cal.com/docs) [here](#here)"),
    ],
)
def test_a_link_of_the_repository_leads_to_the_same_on_the_site(place: str, written: str, led: str):
    assert on_page_markdown(written, page=PageAt(place)) == led  # type: ignore[arg-type]


def test_the_drawn_diagram_names_what_the_readme_draws():
    diagram = re.findall(r"```mermaid\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(diagram) == 1
    names = {name.strip("()") for name in re.findall(r"\w+[\[(]+([^\])]+)[\])]+", diagram[0])}
    drawn = ET.parse(DOCS / "assets" / "flow.svg").getroot()
    told = {element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert len(names) >= 10
    assert names <= told
