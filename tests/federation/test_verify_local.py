"""A release of one process is checked by its files, of any number of parties; it has no logs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs import verify as job
from tests.case import Case, study
from tests.several import keys_at_hand
from xstat_ray import InputError, crosstab
from xstat_ray.errors import ProtocolError
from xstat_ray.federation.verify import verify
from xstat_ray.federation.verify_attestation import Pinned
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Role

COLUMNS = {"parties": [{"name": "jal", "persons": 50}, {"name": "hac", "persons": 50}]}
ROWS = {"parties": [{"name": "north"}, {"name": "south"}]}
SIDES: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = {
    "two": ({}, ("row",), ("column",)),
    "columns": ({"column": COLUMNS, "bounds": {}}, ("row",), ("jal", "hac")),
    "rows": ({"row": ROWS}, ("north", "south"), ("column",)),
    "both": ({"row": ROWS, "column": COLUMNS, "bounds": {}}, ("north", "south"), ("jal", "hac")),
}
"""Keys of a study, and the names of its row parties and column parties."""


class Released:
    """A release in one process, with a ledger for each party."""

    def __init__(self, folder: Path, sides: str, noise: str = "laplace") -> None:
        keys, rows, columns = SIDES[sides]
        case = Case(folder)
        self.out = case.out
        self.ledgers = {name: folder / f"{name}.sqlite" for name in (*rows, *columns)}

        def tables(role: Role, names: tuple[str, ...]) -> Source | Mapping[str, Source]:
            made = {name: Source(case.tables[role], ledger=self.ledgers[name]) for name in names}
            return made if len(made) > 1 else made[names[0]]

        with keys_at_hand():
            crosstab(
                study(noise=noise, **keys),
                row=tables("row", rows),
                column=tables("column", columns),
                options=case.options(),
                out=case.out,
            )


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Released:
    """A release of two row parties and two column parties, for reading."""
    return Released(tmp_path_factory.mktemp("both"), "both")


@pytest.fixture
def release(both: Released, tmp_path: Path) -> Path:
    """A copy of it, to be tampered with."""
    return shutil.copytree(both.out, tmp_path / "out")


@pytest.mark.parametrize("sides", ["two", "columns", "rows"])
def test_files_and_debits_of_all_parties_are_checked(sides: str, tmp_path: Path) -> None:
    made = Released(tmp_path, sides)
    report = verify(made.out, {}, ledgers=[*made.ledgers.values()])
    assert report.wrong == []
    for name in made.ledgers:
        assert f"Of the data set small/{name} the ledger has the debit of the manifest." in (
            report.shown
        )
    assert len(report.shown) == 5 + len(made.ledgers)
    assert not any("were debited" in line for line in report.not_shown)


def test_it_says_that_nothing_is_signed_and_what_it_was_not_given(both: Released) -> None:
    report = verify(both.out, {})
    text = " ".join(report.not_shown)
    for part in (
        "nothing in it is signed",
        "that is a simulation",
        "no log tells what was done",
        "padding was off",
        "small/north, small/south, small/jal, small/hac were debited: you gave no ledger",
    ):
        assert part in text
    own = verify(both.out, {}, ledgers=[both.ledgers["hac"]])
    assert own.wrong == [] and "no ledger that you gave knows them" in own.not_shown[-1]
    assert "small/north, small/south, small/jal were" in own.not_shown[-1]


def test_a_ledger_that_lacks_the_debit_contradicts_it(both: Released, release: Path) -> None:
    path = release / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "release": "00" * 16}))
    wrong = verify(release, {}, ledgers=[both.ledgers["north"]]).wrong
    told = "of the data set small/north the ledger does not have just the debit of the manifest"
    assert wrong == [told]


def test_without_noise_it_says_so_and_looks_for_no_debit(tmp_path: Path) -> None:
    made = Released(tmp_path, "rows", noise="off")
    report = verify(made.out, {})
    assert report.wrong == [] and "NOISE WAS OFF" in report.not_shown[0]
    assert not any("debited" in line for line in report.not_shown)


def test_a_release_of_domains_cannot_pass_for_one_of_one_process(
    finished: Any, tmp_path: Path
) -> None:
    out = shutil.copytree(finished.out, tmp_path / "out")
    path = out / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["deployment"]
    path.write_text(json.dumps(manifest))
    assert verify(out, {}).wrong == [
        "the manifest tells of no domains, and audit/ holds their logs"
    ]
    shutil.rmtree(out / "audit")
    for pins, pinned in (({"row": bytes(32)}, None), ({}, Pinned(expect="nitro"))):
        (wrong,) = verify(out, pins, pinned).wrong
        assert "it has no domains of which you could know keys or software" in wrong


def test_a_release_of_domains_is_looked_up_in_ledgers_too(finished: Any) -> None:
    ledgers = [finished.ledgers[name] for name in ("row", "column")]
    report = verify(finished.out, {}, ledgers=ledgers)
    assert report.wrong == []
    for name in ("row", "column"):
        told = f"Of the data set small/{name} the ledger has the debit of the manifest."
        assert told in report.shown and told not in verify(finished.out, {}).shown


def test_what_is_no_release_of_a_study_is_refused(release: Path, tmp_path: Path) -> None:
    path = release / "manifest.json"
    manifest = json.loads(path.read_text())
    for changes in (
        {"deployment": "federated"},
        {"deployment": "elsewhere"},
        {"datasets": {"operator": "x"}},
        {"datasets": 3},
        {"software": None},
    ):
        path.write_text(json.dumps({**manifest, **changes}))
        with pytest.raises(InputError, match="no release of a study"):
            verify(release, {})
    with pytest.raises(InputError, match="no release of a study"):
        verify(tmp_path / "nowhere", {})


def test_the_job(both: Released, release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledgers = [str(place) for place in both.ledgers.values()]
    job.main({"release": str(release), "ledger": ledgers}, "the command line")
    printed = capsys.readouterr().out
    assert "Shown:" in printed and "WRONG" not in printed and "small/hac the ledger has" in printed
    missing = {"release": str(release), "ledger": str(release / "none.sqlite")}
    with pytest.raises(InputError, match="there is no ledger"):
        job.main(missing, "the command line")
    assert not (release / "none.sqlite").exists()
    (release / "statistics.csv").write_text("")
    with pytest.raises(ProtocolError, match="not what it says"):
        job.main({"release": str(release)}, "the command line")
    assert "statistics.csv does not hold what" in capsys.readouterr().out
