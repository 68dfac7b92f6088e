"""The job as a person runs it, in this process; the last test in one of its own."""

from __future__ import annotations

import re
import shlex
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jobs.budget import main, words
from tests.jobs.command import run
from tests.postgres import OWNER, WRITER
from tests.privacy.old_ledger import make_old
from tests.sizes import first
from xstat_ray import BudgetError, InputError, Options, crosstab, make_plan
from xstat_ray.inputs.source import DEFAULT_LEDGER
from xstat_ray.inputs.study_file import parse
from xstat_ray.privacy.ledger import Debit, Ledger
from xstat_ray.privacy.take_over import kept_name, read_old


@pytest.fixture
def budget(tmp_path, monkeypatch, capsys):
    """Runs a command line in a folder of its own and returns what it prints, as lists of words."""
    monkeypatch.chdir(tmp_path)

    def call(line):
        pairs = dict(word.split("=", 1) for word in words(shlex.split(line)))
        settings = {key: yaml.safe_load(value) for key, value in pairs.items()}
        main({"ledger": str(DEFAULT_LEDGER)} | settings, "the command line")
        return [re.split(r"\s{2,}", row.strip()) for row in capsys.readouterr().out.splitlines()]

    return call


def release(name="r1", epsilon="1/3", datasets=("s/row", "s/column")):
    ledger = Ledger(Path(".xstat-ray/ledger.sqlite"))
    for dataset in datasets:
        debit = Debit(dataset, name, "5d" * 32, "s", Fraction(epsilon), Fraction(0))
        ledger.debit(debit, Fraction(1))


def test_show_tells_where_the_data_sets_stand(budget):
    release()
    release("r2", "1/6", ("s/row",))
    header, _, column, row = budget("show")
    assert header == ["data set", "spent", "cap", "delta", "releases"]
    assert (column, row) == (["s/column", "1/3", "1", "0", "1"], ["s/row", "0.5", "1", "0", "2"])
    assert budget("show dataset=s/row")[2:] == [row]


def test_set_cap_is_what_a_refusal_tells_people_to_run(budget):
    release()
    with pytest.raises(BudgetError) as refused:
        release("r2", "1")
    command = str(refused.value).partition("xstat-ray budget ")[2]
    assert budget(command.replace("...", "4/3"))[2:] == [["s/row", "1/3", "4/3", "0", "1"]]
    budget("set-cap dataset=s/column cap=1.5 delta=1e-9")
    release("r2", "1")
    assert budget("show")[2:] == [
        ["s/column", "4/3", "1.5", "1e-09", "2"],
        ["s/row", "4/3", "4/3", "0", "2"],
    ]


def test_history_tells_what_happened(budget):
    release(datasets=("s/row",))
    with pytest.raises(BudgetError):
        release("r2", "1", ("s/row",))
    budget("set-cap dataset=other cap=2")
    rows = budget("history")
    assert rows[0] == [
        "time (UTC)",
        "what",
        "data set",
        "study",
        "release",
        "amount",
        "cap",
        "note",
    ]
    assert [row[1:] for row in rows[2:]] == [
        ["cap", "s/row", "s 5d5d5d5d", "r1", "delta 0", "1"],
        ["debit", "s/row", "s 5d5d5d5d", "r1", "epsilon 1/3", "1"],
        ["refusal", "s/row", "s 5d5d5d5d", "r2", "epsilon 1", "1",
         "epsilon 1/3 of 1 is spent and with this release it would be 4/3"],
        ["cap", "other", "delta 0", "2"],
    ]  # fmt: skip
    assert budget("history dataset=other")[2:] == rows[-1:]


def test_a_gaussian_release_is_shown_with_its_rho(budget, tmp_path):
    pq.write_table(pa.table({"id": ["1", "2"], "area": ["a", "b"]}), "rows.parquet")
    pq.write_table(pa.table({"id": ["1", "2"], "kind": ["x", "y"]}), "columns.parquet")
    study = parse(
        {
            "study": {
                "name": "s",
                "row": {"id": "id", "dimensions": [{"name": "area", "values": ["a", "b"]}]},
                "column": {"id": "id", "dimensions": [{"name": "kind", "values": ["x", "y"]}]},
                "bounds": {"persons": 10},
            },
            "privacy": {"noise": "gaussian", "epsilon": 1, "delta": 1e-6, "cap": 1},
        },
        origin="s.yaml",
    )
    options = Options(key_bits=2048)
    facts = crosstab(
        study, row="rows.parquet", column="columns.parquet", out="out", options=options
    ).manifest
    rho = make_plan(study).mechanism.rho
    assert facts["spent"] == {"epsilon": "1", "delta": "1/1000000", "rho": str(rho)}
    assert [row[4:6] for row in budget("history dataset=s/row") if "debit" in row] == [
        [facts["release"], f"rho {float(rho):.6g} (epsilon 1, delta 1e-06)"]
    ]
    (row,) = budget("show dataset=s/row")[2:]
    assert 0.99 < Fraction(row[1]) <= 1
    assert row[2:] == ["1", "1e-06", "1"]


def test_create_makes_a_ledger_once(budget, tmp_path):
    assert budget("create ledger=own.sqlite") == [[f"Made the ledger {tmp_path / 'own.sqlite'}."]]
    assert Ledger(tmp_path / "own.sqlite").history() == []
    with pytest.raises(InputError, match="there is a ledger already"):
        budget("create ledger=own.sqlite")


def test_a_ledger_in_postgresql_is_made_for_a_role_and_used_by_it(budget, postgres, tmp_path):
    made = postgres.new_schema()
    with pytest.raises(InputError, match="writer is missing"):
        budget(f"create ledger={made}")
    with pytest.raises(InputError, match="there is no ledger .*budget create .*writer=ROLE"):
        budget(f"set-cap ledger={made} dataset=a cap=1")
    told = budget(f"create ledger={made} writer={WRITER}")
    assert told == [[f"Made the ledger {made}; {WRITER} may write to it."]]
    place = str(made).replace(f"//{OWNER}@", f"//{WRITER}@")
    assert budget(f"set-cap ledger={place} dataset=a cap=1/3")[2] == ["a", "0", "1/3", "0", "0"]
    assert [row[1:3] for row in budget(f"history ledger={made}")[2:]] == [["cap", "a"]]
    with pytest.raises(InputError, match="this role may change its entries"):
        budget(f"set-cap ledger={made} dataset=a cap=9")
    with pytest.raises(InputError, match="only a file can be taken over"):
        budget(f"take-over ledger={place}")
    with pytest.raises(InputError, match="there is a ledger already"):
        budget(f"create ledger={made} writer={WRITER}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "said"),
    first(
        1,
        [
            ("postgresql://u:{}@db/b", "holds a password"),
            ("postgresql://u:{}=1@db/b", "holds a password"),
        ],
    ),
)
def test_a_password_that_is_typed_is_refused_and_not_shown(tmp_path, address, said):
    canary = "hunter2-5b71"
    done = run("budget", tmp_path, "show", f"ledger={address.format(canary)}")
    assert done.code == 2
    assert canary not in done.printed
    assert said in done.error
    assert list(tmp_path.iterdir()) == []


def test_accept_forgets_a_head_only_when_it_is_confirmed(budget):
    ledger = Ledger(DEFAULT_LEDGER.absolute())
    ledger.witness("peer/column", "ab" * 32)
    (((told),),) = budget("accept dataset=peer/column")
    assert "ab" * 32 in told and "Nothing was changed: confirm=true does it." in told
    assert ledger.witnessed("peer/column") == ["ab" * 32]
    budget("accept dataset=peer/column confirm=true")
    assert ledger.witnessed("peer/column") == []
    assert [row[1:] for row in budget("history")[2:]] == [
        ["witness", "peer/column", "head abababababababab", "0"],
        ["witness", "peer/column", "head forgotten", "0"],
    ]
    with pytest.raises(InputError, match="nothing is recorded"):
        budget("accept dataset=peer/column confirm=true")


def test_take_over_shows_what_it_would_do_and_does_it_when_it_is_confirmed(budget, tmp_path):
    old = make_old(tmp_path / ".xstat-ray" / "ledger.sqlite")
    before = old.read_bytes()
    rows = budget("take-over")
    assert [row[1:3] for row in rows[2:5]] == [
        ["cap", "s/row"],
        ["debit", "s/row"],
        ["refusal", "s/row"],
    ]
    assert "Nothing was changed: confirm=true does it." in rows[-1][-1]
    assert old.read_bytes() == before
    with pytest.raises(InputError, match=r"version 0\.1 .* xstat-ray budget take-over"):
        budget("show")
    budget("take-over confirm=true")
    assert budget("show")[2:] == [["s/row", "1/3", "1", "0", "1"]]
    assert [entry.release for entry in read_old(kept_name(old))] == ["r1", "r1", "r2"]
    assert {path.name for path in old.parent.iterdir()} == {old.name, kept_name(old).name}
    with pytest.raises(InputError, match="no ledger of version 0.1"):
        budget("take-over confirm=true")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("shw", "unknown verb 'shw'. Use one of show, history, set-cap, create, accept, take-over"),
        ("show", r"there is no ledger \(file .xstat-ray/ledger.sqlite\)"),
        ("history datset=a", "unknown key .*key datset.* Did you mean 'dataset'"),
        ("set-cap cap=1", "dataset is missing .*key dataset"),
        ("set-cap dataset=a", "cap is missing .*key cap"),
        ("set-cap dataset=a cap=", "cap is missing .*key cap"),
        ("set-cap dataset=a cap=lots", 'cap is not a number .*key cap.* Write 1, 0.5 or "1/3"'),
        ("set-cap dataset=a cap=-1", "the cap is negative .*key cap"),
        ("set-cap dataset=a cap=1 delta=1", "delta is not at least 0 and below 1 .*key delta"),
        ("set-cap dataset=a cap=1 ledger=.", "the budget ledger cannot be used: .* Name a file"),
    ],
)
def test_what_is_refused_names_the_key_and_the_remedy(budget, line, message):
    with pytest.raises(InputError, match=message):
        budget(line)


@pytest.mark.parametrize(
    ("line", "code", "out", "error"),
    [
        ("--help", 0, "set-cap       set the cap", ""),
        ("show --help", 0, "ledger=FILE", ""),
        ("", 2, "", "Error: no verb is given. Use one of show, history, set-cap"),
        ("show datset=a", 2, "", "Error: unknown key (on the command line, key datset)"),
        ("show", 2, "", "Error: there is no ledger"),
        ("set-cap dataset=a cap=1/3", 0, "1/3", ""),
    ],
)
def test_exit_codes(tmp_path, line, code, out, error):
    done = run("budget", tmp_path, *shlex.split(line))
    assert done.code == code
    assert out in done.output
    assert error in done.error
    assert "Traceback" not in done.error


def test_a_data_set_that_is_given_no_delta_is_said_to_have_none(budget):
    def told(line):
        return "Its delta is 0" in " ".join(" ".join(row) for row in budget(line))

    assert told("set-cap dataset=a cap=2")
    assert not told("set-cap dataset=a cap=3")
    assert not told("set-cap dataset=b cap=2 delta=1e-9")
    assert not told("set-cap dataset=a@pool cap=2")


def test_a_refusal_for_want_of_delta_asks_for_one(budget):
    ledger = Ledger(Path("other.sqlite"))
    ledger.set_cap("s/row", Fraction(2))
    debit = Debit("s/row", "r", "5d" * 32, "s", Fraction(1), Fraction(1, 10**9))
    with pytest.raises(BudgetError, match=r"cap=\.\.\. delta=\.\.\. \(more than 1e-09\)$"):
        ledger.debit(debit, Fraction(1))
