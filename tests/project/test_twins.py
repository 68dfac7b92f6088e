"""Pages with a Japanese twin say the same in both languages: structure, code, links, commands, files and numbers."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from tests.pages import FENCE, PAGES, blocks, text_of

JAPANESE = [page for page in PAGES if page.endswith(".ja.md")]
READERS = {"README", "docs/guarantees", "docs/index", "docs/reading_the_map", "docs/tutorial"}
"""What a municipality or somebody new reads, without the ending."""


def english(page):
    return page.removesuffix(".ja.md") + ".md"


def prose(page):
    return FENCE.sub("", text_of(page))


def structure(page):
    """Kind of every heading, list item, figure, and every table with its size, in order."""
    marks = {
        "#": r"#+(?= )",
        "1": r"\d\.(?= )",
        "-": r"-(?= )",
        "!": r"!(?=\[)",
        "`": "```.*",
        "|": r"\|",
    }
    found = []
    for line in text_of(page).splitlines():
        for mark, pattern in marks.items():
            if match := re.match(pattern, line):
                found.append(line.count("|") if mark == "|" else match[0])
    return found


def links(page):
    return [link.replace(".ja.png", ".png") for link in re.findall(r"\]\(([^)\s]+)\)", prose(page))]


def japanese_link(page, link):
    """Where a Japanese page sends its reader for a link of its twin: to the Japanese page, if there is one."""
    target = (PurePosixPath(page).parent / link).as_posix()
    return (
        link.removesuffix(".md") + ".ja.md"
        if target.removesuffix(".md") + ".ja.md" in JAPANESE
        else link
    )


def test_every_page_that_must_have_a_twin_has_one():
    assert {page.removesuffix(".ja.md") for page in JAPANESE} == READERS


@pytest.mark.parametrize("page", JAPANESE)
def test_twins_have_the_same_structure(page):
    assert structure(page) == structure(english(page))
    assert len(structure(page)) > 10


@pytest.mark.parametrize("page", JAPANESE)
def test_twins_have_the_same_blocks_of_code(page):
    assert blocks(page) == blocks(english(page))


@pytest.mark.parametrize("page", JAPANESE)
def test_twins_link_to_each_other_and_to_the_same_pages_or_their_twins(page):
    own = links(page)
    other = links(english(page))
    assert (own[0], other[0]) == (PurePosixPath(english(page)).name, PurePosixPath(page).name)
    assert sorted(own[1:]) == sorted(japanese_link(page, link) for link in other[1:])


@pytest.mark.parametrize("page", JAPANESE)
def test_twins_name_the_same_commands_files_and_numbers(page):
    for pattern in (r"`[^`]+`", r"\d[\d,.]*\d"):
        own, other = (sorted(re.findall(pattern, prose(one))) for one in (page, english(page)))
        assert own == other, pattern


def test_the_twin_of_the_readme_uses_the_words_of_the_press_release():
    for word in (
        "秘匿クロス統計",
        "非識別化処理",
        "集計処理",
        "秘匿処理",
        "暗号状態のまま",
        "重ね合わせ",
        "人口統計情報",
    ):
        assert word in text_of("README.ja.md"), word


def test_the_readme_stays_short():
    assert len(text_of("README.md").splitlines()) < 170
