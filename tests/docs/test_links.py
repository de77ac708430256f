"""What a page links to is there, heading and all."""

import re

import pytest
from tests.docs.pages import DOCS, ROOT

PAGES = sorted(
    path
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "bench" / "README.md",
        *DOCS.rglob("*.md"),
    ]
    if path.exists()
)
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)>\s]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z+.-]*:|//")


def prose(path):
    return re.sub(r"`[^`\n]*`", "``", _FENCED.sub("", path.read_text("utf-8")))


def anchors(path):
    """Headings as links name them."""
    headings = re.findall(r"^#+ +(.*)$", _FENCED.sub("", path.read_text("utf-8")), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {word.strip().replace(" ", "-") for word in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page):
    wrong = []
    for match in _LINK.finditer(prose(page)):
        target = match[1] or match[2]
        if _ELSEWHERE.match(target):
            continue
        path, _, anchor = target.partition("#")
        assert not path.startswith("/"), f"{target} is not relative"
        found = (page.parent / path).resolve() if path else page
        there = found.is_relative_to(ROOT) and found.exists()
        if not there or (anchor and anchor not in anchors(found)):
            wrong.append(target)
    assert wrong == []


def test_every_page_is_in_the_index():
    index = (DOCS / "README.md").read_text("utf-8")
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    assert [page for page in pages if page != "README.md" and f"({page}" not in index] == []
