"""Paths of a source hold in every process; what is missing is refused before anything starts."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from xstat_ray.errors import InputError
from xstat_ray.inputs.source import Source, check_sources
from xstat_ray.model.study import Role


@pytest.mark.parametrize(
    ("exclude", "excludes"),
    [
        ((), ()),
        ("a.csv", ("a.csv",)),
        (Path("a.csv"), (Path("a.csv"),)),
        (["a.csv", Path("b.csv")], ("a.csv", Path("b.csv"))),
    ],
)
def test_one_opt_out_table_or_several(exclude: object, excludes: tuple[Path | str, ...]) -> None:
    assert Source("table.csv", exclude=exclude).excludes == excludes


def test_paths_mean_the_same_in_a_process_that_works_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = Source.of(Source("t.csv", ["a.csv", "b.csv"], Path("private"), skip_damaged=True))
    monkeypatch.chdir("/")
    assert pickle.loads(pickle.dumps(source)) == source.absolute == source
    assert source == Source(
        tmp_path / "t.csv",
        (tmp_path / "a.csv", tmp_path / "b.csv"),
        tmp_path / "private",
        skip_damaged=True,
    )


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_alone_is_a_table(kind: type, tmp_path: Path) -> None:
    assert Source.of(kind(tmp_path / "t.csv")) == Source(tmp_path / "t.csv")


@pytest.mark.parametrize("role", ["row", "column"])
def test_tables_that_are_there_are_accepted(tmp_path: Path, role: Role) -> None:
    for name in ("t.csv", "out.csv"):
        (tmp_path / name).write_text("id\n1\n")
    check_sources({role: Source(tmp_path / "t.csv", exclude=tmp_path / "out.csv")})


@pytest.mark.parametrize("role", ["row", "column"])
def test_a_missing_table_is_named_with_its_key(tmp_path: Path, role: Role) -> None:
    missing = tmp_path / "t.csv"
    with pytest.raises(InputError, match=f"the {role} party's table does not exist") as caught:
        check_sources({role: Source(missing)})
    assert (caught.value.file, caught.value.remedy) == (str(missing), f"Set data.{role}.path")


@pytest.mark.parametrize("role", ["row", "column"])
def test_a_missing_opt_out_table_is_no_reason_to_use_everybody(tmp_path: Path, role: Role) -> None:
    table = tmp_path / "t.csv"
    table.write_text("id\n1\n")
    source = Source(table, exclude=[table, tmp_path / "out.csv"])
    with pytest.raises(InputError, match=f"the {role} party's opt-out table does not") as caught:
        check_sources({role: source})
    assert caught.value.file == str(tmp_path / "out.csv")
    assert caught.value.remedy == f"Set data.{role}.exclude"
