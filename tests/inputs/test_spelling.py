"""A study file says to YAML what it says to a reader, or is refused with the spelling to use."""

from __future__ import annotations

import re

import pytest
import yaml

from xstat_ray.errors import StudyError
from xstat_ray.inputs.spelling import check_spelling
from xstat_ray.inputs.study_file import load

STUDY = """\
study:
  name: flights
  row: {{id: tail, dimensions: [{{name: dest, {row}}}]}}
  column:
    id: tail
    dimensions: [{{name: maker, {column}}}]
    {side}
  {more}
privacy: {{{privacy}}}
"""


def text(row="values: [A, B]", column="values: [C]", side="", more="", privacy="epsilon: 1"):
    return STUDY.format(row=row, column=column, side=side, more=more, privacy=privacy)


CHANGED = [
    ("010", "the number 8"),
    ("0644", "the number 420"),
    ("0", None),
    ("10", None),
    ("-3", None),
    ("01208", None),  # No octal number, so YAML leaves it alone.
    ("00", "the number 0"),
    ("+5", "the number 5"),
    ("1_000", "the number 1000"),
    ("0x1F", "the number 31"),
    ("0b11", "the number 3"),
    ("10:30", "the number 630"),
    ("190:20:30", "the number 685230"),
    ("1e3", "the number 1000.0"),
    ("1.10", "the number 1.1"),
    ("12345678901234567.5", "the number"),
    (".inf", "the number inf"),
    ("no", "false"),
    ("NO", "false"),
    ("On", "true"),
    ("yes", "true"),
    ("off", "false"),
    ("true", "true"),
    ("null", "nothing"),
    ("~", "nothing"),
    ("NULL", "nothing"),
    ("=", "something else than text"),
    ("2024-05-01", None),
    ("12:30:99:1", None),
    ("名寄", None),
]


@pytest.mark.parametrize(("written", "reading"), CHANGED)
@pytest.mark.parametrize(
    ("form", "key"),
    [
        ("values: [A, {}]", "values[1]"),
        ("groups: {{G: [A, {}]}}", "groups.G[1]"),
        ("groups: {{{}: [A]}}", "groups.{}"),
        ("values: [A, B], hierarchy: {{level: {{{}: [A, B]}}}}", "hierarchy.level.{}"),
        ("<<: {{values: [A, {}]}}", "values[1]"),
        ("<<: [{{values: [A, {}]}}]", "values[1]"),
        ("file: t.csv, field: f, only: {{code: [{}]}}", "only.code[0]"),
    ],
)
def test_a_value_that_yaml_changes_is_refused_with_its_quoted_spelling(
    tmp_path, form, key, written, reading
):
    path = tmp_path / "study.yaml"
    content = text(row=form.format(written))
    path.write_text(content)
    if reading is None:
        check_spelling(content, str(path))
        return
    with pytest.raises(StudyError) as refused:
        load(path)
    error = refused.value
    assert (error.file, error.line) == (str(path), 3)
    assert error.key == f"study.row.dimensions[0].{key.format(written)}"
    assert f"YAML reads {written} without quotes as {reading}" in error.problem
    assert error.remedy == f'Write it in quotes: "{written}"'
    check_spelling(content.replace(f"{written}", f'"{written}"'), str(path))


@pytest.mark.parametrize(
    ("where", "written", "reading", "remedy"),
    [
        ("more", "bounds: {persons: 01000}", "512", "Write 1000"),
        ("more", "bounds: {persons: 1:40}", "100", "decimal digits"),
        ("more", "bounds: {rows: 0x2}", "2", "decimal digits"),
        ("row", "range: [07, 010]", "7", "Write 7"),
        ("row", "range: [1, 3], hierarchy: {quadrants: 020, width: 1}", "16", "Write 20"),
        ("side", "windows: [{anchor: t, from: 01, to: 2}]", "1", "Write 1"),
        ("privacy", "epsilon: 0.12345678901234567890", "0.12", '"0.12345678901234567890"'),
        ("privacy", "view: {epsilon: 1:30.5}", "90.5", '"1:30.5"'),
        ("privacy", "cap: .inf", "inf", '".inf"'),
    ],
)
def test_a_number_that_yaml_changes_is_refused(where, written, reading, remedy):
    with pytest.raises(StudyError, match=f"as the number {reading}.*{re.escape(remedy)}"):
        check_spelling(text(**{where: written}), "study.yaml")


@pytest.mark.parametrize(
    ("where", "written"),
    [
        ("more", "bounds: {persons: 40_000, rows: 2}"),
        ("side", "windows: [{anchor: t, from: -6, to: +1}]"),
        ("side", "offset_dimension: no"),
        ("privacy", "epsilon: 1e-9, cap: .5, noise: off, padding: off, smooth: yes, report: null"),
        ("privacy", "epsilon: 0.1, delta: 1.0e-6, view: {epsilon: 2., delta: 1e-9}"),
        ("row", "values: ['010', \"no\", !!str 1e3]"),
        ("more", 'title: {en: "no", ja: 010x}'),
    ],
)
def test_what_means_what_it_shows_is_accepted(where, written):
    check_spelling(text(**{where: written}), "study.yaml")


def test_norwegian_is_no_truth_value():
    with pytest.raises(StudyError, match=r'YAML reads no .* as false .*key study.title.no.*"no"'):
        check_spelling(text(more="title: {en: x, no: y}"), "study.yaml")


@pytest.mark.parametrize(
    "content",
    [
        "study:\n  name: a\n  name: b\n",
        "study: {row: 1}\nstudy: {row: 2}\n",
        text(row="groups: {A: [x], B: [y], A: [z]}"),
        text(row="groups: {1: [x], '1': [y]}"),
        "privacy: {cap: 1, cap: 2}",
        "data: 1\ndata: 2\n",
    ],
)
def test_the_second_of_two_equal_keys_is_refused(content):
    with pytest.raises(StudyError, match=r"a key occurs twice .*line \d.*It is in line \d too"):
        check_spelling(content, "study.yaml")


def test_a_block_alone_is_checked_as_that_block():
    check_spelling("epsilon: 1e-9", "privacy.yaml", "privacy")
    with pytest.raises(StudyError, match=r"key privacy.cap.*Write 10"):
        check_spelling("cap: 010", "privacy.yaml", "privacy")


@pytest.mark.parametrize("content", ["", "[]", "5", "study:", "study: [010]\n"])
def test_what_is_no_study_is_left_to_others(content):
    if "010" in content:
        with pytest.raises(StudyError):
            check_spelling(content, "study.yaml")
    else:
        check_spelling(content, "study.yaml")


def test_nodes_that_name_themselves_end():
    check_spelling("study: &a {name: [*a], row: &b [*b, *a]}", "study.yaml")


def test_what_is_no_yaml_is_an_error_of_yaml():
    with pytest.raises(yaml.YAMLError):
        check_spelling("study: [", "study.yaml")
