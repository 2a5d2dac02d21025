"""What MkDocs is told beside `mkdocs.yml`: pages that stand outside of docs/, and where links to the repository lead.

The README is the first page. Pages link as they do in the repository, so that they can be read there too.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.making.markdown import code

ROOT = Path(__file__).parents[2]
#: Files beside docs/ that are pages, and where on the site they stand.
BESIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "bench/RESULTS.md": "project/figures.md",
}
#: What else a link may name, and the page that says the same.
INSTEAD = {".env.example": "reference/settings.md"}
_DOCS = "docs/"
_LINK = re.compile(r"(?P<label>!?\[(?P<words>[^\]]*)\])\((?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
#: GitHub wants a bar inside of a cell's code escaped, and hides the stroke; MkDocs would show it.
_BARRED = re.compile(r"`([^`\n]*\\\|[^`\n]*)`")
_DIAGRAM = re.compile(r"```mermaid\n.*?```", re.DOTALL)
_DRAWN = "![Services are planned and synced with Cal.com; what changes there reaches Redis](docs/assets/flow.svg)"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the pages that stand beside docs/."""
    for source, place in BESIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_extra: Any) -> str:
    """Links as they have to be on the site. The diagram is drawn already: its own program would come from outside."""
    place = page.file.src_uri
    source = next((path for path, there in BESIDE.items() if there == place), _DOCS + place)
    told = _BARRED.sub(lambda barred: code(barred[1].replace("\\|", "|")), _DIAGRAM.sub(_DRAWN, markdown))
    return _LINK.sub(lambda link: _led(link, source, place), told)


def _led(link: re.Match[str], source: str, place: str) -> str:
    """One link. What is no page is named, and told to be in the repository; what is not there MkDocs complains of."""
    meant = posixpath.normpath(posixpath.join(posixpath.dirname(source), link["path"]))
    there = BESIDE.get(meant) or INSTEAD.get(meant)
    if there is None and meant.startswith(_DOCS):
        there = meant.removeprefix(_DOCS)
    if there is None:
        named = link["words"] if link["words"] == meant else f"{link['words']} ({meant})"
        return named if (ROOT / meant).exists() else link[0]
    return f"{link['label']}({posixpath.relpath(there, posixpath.dirname(place) or '.')}{link['anchor'] or ''})"
