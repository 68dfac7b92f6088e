"""README.md and its Japanese twin say the same: structure, code, links and figures."""

from __future__ import annotations

import re

from tests.pages import FENCE, blocks, text_of

ENGLISH, JAPANESE = "README.md", "README.ja.md"


def prose(page):
    return FENCE.sub("", text_of(page))


def structure(page):
    """Kind of every heading, list item, figure, and every table with its size, in order."""
    marks = {"#": r"#+(?= )", "1": r"\d\.(?= )", "!": r"!(?=\[)", "`": "```.*", "|": r"\|"}
    found = []
    for line in text_of(page).splitlines():
        for mark, pattern in marks.items():
            if match := re.match(pattern, line):
                found.append(line.count("|") if mark == "|" else match[0])
    return found


def links(page):
    return [link.replace(".ja.png", ".png") for link in re.findall(r"\]\(([^)\s]+)\)", prose(page))]


def test_the_twins_have_the_same_structure():
    assert structure(JAPANESE) == structure(ENGLISH)
    assert len(structure(ENGLISH)) > 40


def test_the_twins_have_the_same_blocks_of_code():
    assert blocks(JAPANESE) == blocks(ENGLISH)


def test_the_twins_link_to_the_same_pages_and_to_each_other():
    english, japanese = links(ENGLISH), links(JAPANESE)
    assert (english[0], japanese[0]) == (JAPANESE, ENGLISH)
    assert sorted(english[1:]) == sorted(japanese[1:])


def test_the_twins_name_the_same_commands_files_and_numbers():
    for pattern in (r"`[^`]+`", r"\d[\d,.]*\d"):
        assert sorted(re.findall(pattern, prose(JAPANESE))) == sorted(re.findall(pattern, prose(ENGLISH))), pattern


def test_the_twin_uses_the_words_of_the_press_release():
    for word in (
        "秘匿クロス統計",
        "非識別化処理",
        "集計処理",
        "秘匿処理",
        "暗号状態のまま",
        "重ね合わせ",
        "人口統計情報",
    ):
        assert word in text_of(JAPANESE), word


def test_the_readme_stays_short():
    assert len(text_of(ENGLISH).splitlines()) < 170
