"""The files of an answer, and what is printed of it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.hokkaido.needs.country import make_country, publish_all
from xstat_ray.errors import InputError
from xstat_ray.hokkaido.needs.answer import Assumptions, NeedsAnswer, answer
from xstat_ray.hokkaido.needs.index import Sampling
from xstat_ray.hokkaido.needs.report import print_answer, warn, write

QUICK = Assumptions(sampling=Sampling(draws=200))
TABLES = ("needs", "hours", "watershed", "opening", "region", "boarding")


@pytest.fixture(scope="module", params=["gaussian", "off"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NeedsAnswer:
    folder: Path = tmp_path_factory.mktemp("releases")
    return answer(publish_all(make_country(6, 20_000), folder, request.param), QUICK)


def test_files_are_whole_repeat_and_carry_the_stamp(found, tmp_path):
    write(found, QUICK, tmp_path)
    contents = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(contents) == {
        "sources.json",
        *(f"{name}.{end}" for name in TABLES for end in ("csv", "parquet")),
    }
    write(found, QUICK, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == contents
    facts = json.loads(contents["sources.json"])
    assert facts["noise_free"] == ("warning" in facts) == found.noise_free
    assert facts["assumptions"]["travel"]["tolerated"] == 165
    assert facts["sources"]["movement"]["study"] == "doto_movement"
    for name in TABLES:
        table = pq.read_table(tmp_path / f"{name}.parquet")
        assert table.equals(found.tables[name])
        assert (
            b"NOISE OFF" in (table.schema.metadata or {}).get(b"WARNING", b"")
        ) == found.noise_free
        assert contents[f"{name}.csv"].startswith(b"# WARNING: NOISE OFF") == found.noise_free
        lines = contents[f"{name}.csv"].decode().splitlines()[found.noise_free :]
        assert len(lines) == len(table) + 1
        assert lines[0] == ",".join(f'"{column}"' for column in table.column_names)


def test_the_printed_list_has_both_names_and_says_what_is_unknown(found):
    unknown = found.tables["needs"].to_pylist()
    unknown[-1] |= {"rank": None, "name_en": "Neverland"}
    tables = found.tables | {"needs": pa.Table.from_pylist(unknown, found.tables["needs"].schema)}
    console = Console(record=True, width=150, markup=False)
    print_answer(type(found)(tables, found.sources), "out/needs", console)
    text = console.export_text()
    assert "根室市" in text and "Nemuro" in text and "visitor-hours a day" in text
    assert "Unknown, as too little was published: Neverland." in text
    assert "Tables: out/needs/*.parquet" in text


def test_the_printed_list_fits_80_columns(found):
    console = Console(record=True, width=80, markup=False)
    print_answer(found, "out/needs", console)
    text = console.export_text()
    assert "…" not in text and "..." not in text
    lines = text.splitlines()
    assert max(cell_len(line.rstrip()) for line in lines) <= 80
    for row in found.tables["needs"].to_pylist()[:10]:
        (line,) = [
            line
            for line in lines
            if line.split()[:2] == [str(row["rank"]), f"{row['rank_low']}-{row['rank_high']}"]
        ]
        assert (
            row["name_ja"] in line
            and f"{row['visitors']:,.0f} ± {row['visitors_stderr']:,.0f}" in line
        )
        assert f"{row['landing_minutes']:.0f} ± {row['landing_minutes_stderr']:.0f}" in line
    changed = [row["name_ja"] for row in found.tables["opening"].to_pylist() if row["changed"]]
    assert changed and all(
        any(line.startswith(name) and "%" in line for line in lines) for name in changed
    )


def test_the_warning_names_the_sources(found, capsys):
    warn(found)
    error = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert ("NOT differentially private" in error) == found.noise_free
    assert ("movement, catchment, population, preboarding" in error) == found.noise_free


def test_a_folder_that_cannot_be_written_to(found, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the output"):
        write(found, QUICK, tmp_path / "file" / "out")
