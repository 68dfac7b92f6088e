"""The job as one call: what it publishes, and the odd tables that it accepts."""

from __future__ import annotations

import datetime as dt
import json
import stat
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import oracle
from tests.case import COLUMNS, COUNTS, HOURS, KEY_BITS, ROWS, Case, counts, study
from xstat_ray import Source, crosstab
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.planning.plan import make_plan
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.runtime.progress import Progress


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


def test_importing_the_package_does_not_import_ray():
    code = "import sys, xstat_ray, xstat_ray.cli.config, jobs.crosstab; print('ray' in sys.modules)"
    root = Path(__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert run.stdout == "False\n"


# What is published


def test_the_counts_are_those_of_the_join_in_the_clear(case):
    release = case.run(study())
    assert counts(release) == COUNTS
    assert pq.read_table(case.out / "statistics.parquet").equals(release.statistics)


def test_schema_and_suppression(case):
    release = case.run(study(privacy={"suppress_below": 2, "report": ["cell"]}))
    table = pq.read_table(case.out / "statistics.parquet")
    types = {
        "area": "string",
        "kind": "string",
        "noisy": "int64",
        "estimate": "int64",
        "low95": "double",
        "high95": "double",
        "stderr": "double",
        "suppressed": "bool",
    }
    assert {field.name: str(field.type) for field in table.schema} == types
    assert table["suppressed"].to_pylist() == [count < 2 for count in COUNTS.values()]
    assert table["estimate"].is_null().to_pylist() == table["suppressed"].to_pylist()
    assert release.path == case.out


def test_without_an_output_folder_nothing_but_the_ledger_stays(case, monkeypatch):
    monkeypatch.chdir(case.folder)
    before = set(case.folder.iterdir())
    release = crosstab(study(noise="laplace"), **case.tables, options=case.options())
    assert release.path is None
    assert set(case.folder.iterdir()) - before == {case.folder / ".xstat-ray"}
    assert [path.name for path in (case.folder / ".xstat-ray").iterdir()] == ["ledger.sqlite"]
    assert counts(release).keys() == COUNTS.keys()


def test_the_parties_counts_of_rows_are_in_their_private_files_only(case):
    bad = 389
    outside = 211
    good = 523
    total = bad + outside + good
    areas = ["a", "Atlantis"] * (bad // 2) + ["b"] + ["Atlantis"] * outside + ["b"] * good
    # Each row has one fate: half of the unusable ids are also outside.
    case.write("row", {"id": [None] * bad + [str(i) for i in range(total - bad)], "area": areas})
    release = case.run(study())
    counted = {
        "rows": total,
        "invalid_id": bad,
        "outside_domain": outside,
        "kept": good,
        "persons": outside + good,
    }
    assert counted.items() <= case.intake("row").items()
    for name in ("manifest.json", "plan.json"):
        assert not set(numbers(json.loads((case.out / name).read_text()))) & set(counted.values())
    for role in ("row", "column"):
        folder = case.out / "parties" / role
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "intake.json").stat().st_mode) == 0o600
    assert "Atlantis" not in release.statistics["area"].to_pylist()


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_nobody_is_several_people_by_a_character_that_vanishes(case, suffix):
    """Ids that end in a NUL get round neither the bounds nor the lists of people to leave out."""
    hours = [dt.datetime(2024, 1, 1, hour) for hour in range(6)]
    names = ["p" + "\0" * hour for hour in range(6)]
    rows = {"id": ["p"] * 6, "at": hours, "area": ["a"] * 6}
    boardings = {"id": names, "at": hours, "kind": ["x"] * 6}
    for role, table in (("row", rows), ("column", boardings)):
        if suffix == "csv":
            lines = [",".join(map(str, line)) for line in zip(*table.values(), strict=True)]
            case.write(role, "\n".join([",".join(table), *lines]) + "\n")
        else:
            case.write(role, table)
    timed = study(row={"time": "at"}, column={"time": "at"}, period=HOURS)
    assert sum(counts(case.run(timed)).values()) == 1
    assert case.intake("column")["invalid_id"] == 5


def numbers(value):
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)
    elif isinstance(value, int | float):
        yield value


def test_noise_off_is_stamped_on_everything(case):
    release = case.run(study())
    assert release.manifest["noise_free"] is True
    assert "NOT differentially private" in release.manifest["warning"]
    assert release.manifest["spent"] == {"epsilon": "0", "delta": "0"}
    assert case.out.joinpath("statistics.csv").read_text().startswith("# WARNING: NOISE OFF")
    assert b"NOISE OFF" in pq.read_schema(case.out / "statistics.parquet").metadata[b"WARNING"]
    assert case.debits() == 0


def test_padding_off_is_loud(case, monkeypatch):
    warnings = []
    progress = Progress()
    monkeypatch.setattr(progress, "warn", warnings.append)
    release = crosstab(
        study(noise="laplace"), **case.sources, options=case.options(), progress=progress
    )
    assert warnings == [release.manifest["view"]["warning"]] == [release.plan["view"]["warning"]]
    assert "PADDING IS OFF" in warnings[0] and release.manifest["view"]["padding"] == "off"
    crosstab(
        study(noise="laplace", privacy={"padding": "dp"}),
        **case.sources,
        options=case.options(),
        progress=progress,
    )
    assert len(warnings) == 1


def test_padding_changes_no_count_and_what_the_pool_learns_stands_beside_what_the_public_learns(
    case,
):
    view = {"epsilon": "1/2", "delta": 1e-7}
    release = case.run(study(privacy={"padding": "dp", "view": view}))
    assert counts(release) == COUNTS
    reported = release.manifest["view"]
    assert (
        reported.items()
        >= {"padding": "dp", "epsilon": "1/2", "delta": "1/10000000", "shown": 1}.items()
    )
    assert reported == release.plan["view"] | {"shown": 1}
    assert sum(Fraction(kind["epsilon"]) for kind in reported["kinds"].values()) == Fraction(1, 2)
    assert reported["rows_added"] > 50 and reported["flags_added"] > 50


def test_the_manifest_says_which_kernels_ran_and_how(case):
    assert case.run(study()).manifest["kernels"] == dict.fromkeys(
        ("driver", "row", "column"), kernel().name
    )


def test_a_missing_kernel_is_noted_once(case, monkeypatch):
    notes = []
    progress = Progress()
    monkeypatch.setattr(progress, "note", notes.append)
    monkeypatch.setattr(sys.modules["xstat_ray.job"], "shortfall", lambda: "it was not built")
    crosstab(
        study(),
        row=case.tables["row"],
        column=case.tables["column"],
        options=case.options(),
        progress=progress,
    )
    assert [note for note in notes if "as ifma cannot run: it was not built." in note] == notes[:1]


@pytest.mark.skipif(not kernel().constant_time, reason="this kernel has no constant time")
def test_constant_time_changes_no_count(case):
    release = case.run(study(), constant_time=True)
    assert counts(release) == COUNTS
    assert release.manifest["constant_time"] is True


def test_a_noisy_release_has_no_such_stamp(case):
    noisy = study(noise="laplace")
    release = case.run(noisy)
    assert release.manifest["noise_free"] is False
    assert "warning" not in release.manifest
    delta = make_plan(noisy, key_bits=KEY_BITS).delta
    assert 0 < delta < Fraction(1, 10**12)
    assert release.manifest["spent"] == {"epsilon": "1", "delta": str(delta)}
    spent = [e.delta for e in Ledger(case.ledger).history() if e.kind == "debit"]
    assert spent == [delta] * 2
    assert case.out.joinpath("statistics.csv").read_text().startswith('"area","kind"')
    assert b"WARNING" not in (pq.read_schema(case.out / "statistics.parquet").metadata or {})
    assert case.debits() == 1


# Tables that are odd and accepted


@pytest.mark.parametrize("noise", ["off", "laplace"])
def test_no_match_at_all(case, noise):
    case.write("row", {"id": ["7", "8"], "area": ["a", "b"]})
    areas = [*"ab", *(f"area {i}" for i in range(40))]
    noisy = case.run(study(noise=noise, areas=areas)).statistics["noisy"].to_pylist()
    # Untouched cells get noise too. With 84 draws of scale 1 all zeros have a probability of
    # 10^-28.
    assert (set(noisy) == {0}) == (noise == "off")


def test_null_and_empty_ids_are_put_aside(case):
    case.write("row", {"id": [*ROWS["id"], None, ""], "area": [*ROWS["area"], "a", "b"]})
    assert counts(case.run(study())) == COUNTS
    assert case.intake("row")["invalid_id"] == 2
    assert case.intake("column")["invalid_id"] == 0


def test_values_outside_the_domain_are_put_aside(case):
    case.write("column", {"id": [*COLUMNS["id"], "4"], "kind": [*COLUMNS["kind"], "z"]})
    assert counts(case.run(study())) == COUNTS
    assert case.intake("column")["outside_domain"] == 1


@pytest.mark.parametrize(("bound", "expected"), [(1, 1), (2, 2), (9, 3)])
def test_duplicate_rows_count_up_to_the_bound(case, bound, expected):
    case.write("row", {"id": ["1"] * 3, "area": ["a"] * 3})
    case.write("column", {"id": ["1"] * 2, "kind": ["x"] * 2})
    release = case.run(study(bounds={"rows": bound, "boardings": 2, "persons": 10}))
    # One flag for a person in a period, however often the column party's row is repeated.
    assert counts(release) == {**dict.fromkeys(COUNTS, 0), ("a", "x"): expected}
    assert case.intake("row")["over_bound"] == 3 - expected


@pytest.mark.parametrize("other", [{}, {"other": "else"}])
def test_missing_values_are_counted_under_their_label(case, other):
    """Beside SQL, on both sides, in Parquet and in CSV."""
    values = {"values": ["a", "b"], "missing": "unknown", **other}
    areas = ["a", None, "b", None, "z", None]
    kinds = [None, "y", None, "x", "x", None]
    people = [str(number) for number in range(6)]
    declared = study(
        row={"dimensions": [{"name": "area", **values}]},
        column={"dimensions": [{"name": "kind", "values": ["x", "y"], "missing": "unknown"}]},
    )
    tables = [pa.table({"id": people, "area": areas}), pa.table({"id": people, "kind": kinds})]
    case.write("row", tables[0].to_pydict())
    lines = [f"{person},{kind or 'nan'}\n" for person, kind in zip(people, kinds, strict=True)]
    case.write("column", "id,kind\n" + "".join(lines))
    release = case.run(declared)
    expected = oracle.count(declared, *tables)
    assert release.statistics["noisy"].to_pylist() == expected.ravel().tolist()
    assert expected.sum() == (6 if other else 5)
    assert release.statistics["area"].to_pylist()[-1] == "unknown"
    assert case.intake("row")["outside_domain"] == (0 if other else 1)


def test_one_phone_number_written_in_two_ways(case):
    case.write("row", {"id": ["090-1234-5678", "090 1111 2222"], "area": ["a", "b"]})
    case.write("column", {"id": ["+81 90 1234 5678", "+819011112223"], "kind": ["x", "y"]})
    release = case.run(study(id={"form": "phone", "region": "JP"}))
    assert counts(release) == {**dict.fromkeys(COUNTS, 0), ("a", "x"): 1}


def test_local_and_zoned_times_of_the_two_parties_meet(case):
    case.write("row", "id,area,at\n1,a,2024-01-01T05:10:00\n2,b,2024-01-01T05:59:59\n")
    case.write("column", "id,kind,at\n1,x,2023-12-31T20:50:00Z\n2,y,2023-12-31T21:00:00Z\n")
    release = case.run(study(period=HOURS, row={"time": "at"}, column={"time": "at"}))
    assert counts(release) == {**dict.fromkeys(COUNTS, 0), ("a", "x"): 1}


def test_people_who_opted_out_are_not_counted(case):
    opted_out = case.folder / "opted_out.csv"
    opted_out.write_text("id\n3\n")
    release = case.run(study(), row=Source(case.tables["row"], opted_out))
    assert counts(release) == {**COUNTS, ("a", "x"): 1}
    assert case.intake("row")["excluded"] == 1


def test_nobody_opted_out_or_everybody(case):
    opted_out = case.folder / "opted_out.csv"
    opted_out.write_text("id\n")
    assert counts(case.run(study(), row=Source(case.tables["row"], opted_out))) == COUNTS
    opted_out.write_text("id\n1\n2\n3\n4\n")
    release = case.run(study(), case.folder / "second", row=Source(case.tables["row"], opted_out))
    assert set(counts(release).values()) == {0}
