"""The register: its order, its digest, rows that are refused, and groups of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstat_ray.errors import InputError
from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.population.register import AGES, Register, read_register

ROW = {"home": "01100", "sex": "female", "age": "15-19", "residents": 5}


def read(folder: Path, *rows: dict[str, Any]) -> Register:
    """Write a register and read it."""
    pq.write_table(pa.Table.from_pylist(list(rows)), folder / "register.parquet")
    return read_register(folder / "register.parquet")


def test_homes_are_sorted_and_classes_without_a_row_are_empty(tmp_path):
    register = read(
        tmp_path,
        ROW | {"home": "13000"},
        ROW,
        ROW | {"sex": "male", "age": "75-79", "residents": 7},
    )
    assert register.homes == ("01100", "13000")
    assert (
        register.residents[0, 0, 0] == 5
        and register.residents[0, 1, 12] == 7
        and register.residents[1, 0, 0] == 5
    )
    assert register.residents.sum() == 17
    classes = register.classes(*np.nonzero(register.residents))
    assert [list(part) for part in register.parts(classes)] == [[0, 0, 1], [0, 1, 0], [0, 12, 0]]


def test_the_digest_is_of_the_content(tmp_path):
    digest = read(tmp_path, ROW).digest
    other = read(tmp_path, ROW | {"residents": 6})
    assert digest == read(tmp_path, ROW).digest != other.digest


@pytest.mark.parametrize(
    ("row", "part"),
    [
        (ROW | {"home": None}, "a row without a home"),
        (ROW | {"sex": "x"}, "an unknown sex"),
        (ROW | {"age": "80-84"}, "an unknown age"),
        (ROW | {"residents": -1}, "not a whole number"),
        (ROW | {"residents": None}, "not a whole number"),
        (ROW, "a class has two rows"),
    ],
)
def test_bad_rows_are_refused_with_their_place(tmp_path, row, part):
    with pytest.raises(InputError, match=part) as error:
        read(tmp_path, ROW, row)
    assert error.value.file == str(tmp_path / "register.parquet")
    assert row == ROW or error.value.row == 2


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(1, 12))
def test_groups_have_enough_residents_and_hold_neighbours(seed, least, most):
    rng = np.random.default_rng(seed)
    codes = hokkaido.municipalities()["code"].to_pylist()
    homes = sorted(rng.choice([*codes, "13000", "27000"], 12, replace=False))
    register = Register(
        tuple(homes), rng.integers(0, most, (12, 2, 13)) * rng.integers(0, 6, (12, 1, 1))
    )
    group = register.merged(least)
    size = np.bincount(group, register.residents.ravel())
    assert np.array_equal(np.unique(group), np.arange(len(size)))
    assert (size >= least).all() or len(size) == 1
    by_home = group.reshape(register.residents.shape)
    # The ages between two of a group, of one home and sex, are in that group.
    for row in by_home.reshape(-1, len(AGES)):
        assert (np.diff(np.flatnonzero(np.diff(row, prepend=-1))) > 0).all()
        assert len(np.unique(row)) == 1 + (np.diff(row) != 0).sum()


def test_large_homes_are_not_merged_and_small_ones_join_their_subprefecture():
    big = np.full((2, 13), 100)
    small = np.full((2, 13), 1)
    register = Register(
        ("01100", "01206", "01223", "01224", "01661"), np.stack([big, big, small, big // 3, small])
    )
    group = register.merged(100).reshape(5, 2, 13)
    assert len(np.unique(group[:2])) == 2 * 2 * 13
    # Three groups of at least four ages for each sex, in their order.
    assert [len(np.unique(row)) for row in group[3]] == [3, 3]
    # Nemuro and Kushiro (town) are of different subprefectures, and too small there as well.
    assert len(np.unique(group[[2, 4]])) == 1
