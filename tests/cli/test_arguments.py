"""Settings as people type them reach the configuration as they were typed."""

from __future__ import annotations

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.cli.arguments import quoted, readable, typed
from xstat_ray.errors import InputError


def value(argument):
    """What Hydra makes of a setting."""
    parsed = OverridesParser.create().parse_override(argument)
    return parsed.value()


@pytest.mark.parametrize(
    "path",
    [
        "presence/date=2024-05-01/part-0.csv",
        "データ/位置.csv",
        "my data/rows (1).csv",
        "a&b.csv",
        "it's.csv",
        'said "so".csv',
        "50%/#1!.csv",
        "C:\\rows\\",
        "x=1,y=2.csv",
        "2024_05",
        "1e3",
        "12e5",
        "007",
        "true",
        "nan",
        "a:b",
        "",
        "é<ü>.csv",
        "rows{1}.csv",
        "rows[1].csv",
        "a;b^c`d.csv",
    ],
)
@pytest.mark.parametrize("key", ["data.row.path", "out", "+data.column.ledger"])
def test_a_path_is_read_as_it_is(key, path):
    [argument] = readable([f"{key}={path}"])
    assert value(argument) == path


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
def test_any_text_in_quotes_is_read_as_it_is(text):
    assert value(f"x={quoted(text)}") == text
    assert shlex.split(typed("x", text)) == [f"x={quoted(text)}"]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (
            "data.row.exclude=[データ/a.csv,b.csv, my list.csv]",
            ["データ/a.csv", "b.csv", "my list.csv"],
        ),
        ("data.row.exclude=['a b','c,d']", ["a b", "c,d"]),
        ("bounds.persons=40_000", 40000),
        ("study.bounds.rows=2", 2),
        ("privacy.epsilon=0.5", 0.5),
        ("out=null", None),
        ("sweep={privacy.epsilon:[0.5,1]}", {"privacy.epsilon": [0.5, 1]}),
        ("crypto.constant_time=true", True),
        ("data.row.path='a b'", "a b"),
        ('data.row.path="a b"', "a b"),
    ],
)
def test_what_hydra_understands_keeps_its_meaning(argument, expected):
    [read] = readable([argument])
    got = value(read)
    if isinstance(expected, dict):
        got = {str(key): item for key, item in got.items()}
    if isinstance(got, list):
        got = [str(item) for item in got]
    assert got == expected


def test_a_tilde_at_the_beginning_is_the_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/hanako")
    arguments = ["data.row.path=~/rows.csv", "out=~", "ledger=./~/x", "~data.row.exclude"]
    [row, out, ledger, deleted] = readable(arguments)
    assert [value(row), value(out)] == ["/home/hanako/rows.csv", "/home/hanako"]
    assert value(ledger) == "./~/x"
    assert deleted == "~data.row.exclude"


def test_options_and_their_values_are_left_alone():
    arguments = ["--config-dir", "my=dir, x", "-cd=a b", "--cfg", "job", "study=s"]
    assert readable(arguments) == arguments


def test_several_values_are_refused_where_one_run_was_asked_for():
    with pytest.raises(InputError) as refused:
        readable(["data.row.path=a.csv,b.csv"])
    message = str(refused.value)
    assert "on the command line, key data.row.path" in message
    for remedy in ("'data.row.path=\"a.csv,b.csv\"'", "'data.row.path=[a.csv,b.csv]'"):
        assert remedy in message
        [typed_again] = readable(shlex.split(remedy))
        assert value(typed_again) in ("a.csv,b.csv", ["a.csv", "b.csv"])


@pytest.mark.parametrize("flag", ["-m", "--multirun"])
def test_several_values_are_several_runs_where_they_were_asked_for(flag):
    read = readable(["data.row.path=データ/a.csv,b.csv", flag])
    assert read == ['data.row.path="データ/a.csv",b.csv', flag]
