"""The sorted index of the persons in a table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from xstat_ray.inputs.text_index import TextIndex
from xstat_ray.roles import person_index
from xstat_ray.roles.person_index import IdCounts, PersonIndexBuilder


def built(chunks, excluded=()):
    """Build the index of chunks: (dictionary of normal ids, indices of the rows)."""
    builder = PersonIndexBuilder(pa.array(sorted(excluded), pa.string()))
    for dictionary, indices in chunks:
        normal = pa.array(dictionary, pa.string())
        written = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), normal)
        builder.add(IdCounts.of(normal, written))
    return builder.person_index(), builder.counts


CHUNKS = [(["b", "a", None], [0, 0, 1, 2]), (["c", "b", "unused"], [0, 1, None]), (["aaa"], [0])]


@pytest.mark.parametrize("pending", [1, 1 << 21])
def test_persons_are_sorted_and_their_rows_counted(monkeypatch, pending):
    monkeypatch.setattr(person_index, "_PENDING", pending)
    persons, counts = built(CHUNKS)
    assert persons.ids.tolist() == [b"a", b"aaa", b"b", b"c"]
    assert persons.rows.tolist() == [1, 1, 3, 1]
    assert (counts.rows, counts.invalid_id, counts.excluded) == (8, 2, 0)


def test_excluded_persons_are_not_in_the_person_index():
    persons, counts = built(CHUNKS, {"b", "unused", "nobody"})
    assert persons.ids.tolist() == [b"a", b"aaa", b"c"]
    assert counts.excluded == 3


def test_find_gives_numbers_and_minus_one_for_strangers_and_nothing():
    persons, _ = built(CHUNKS)
    # An id longer than all in the index, a prefix of one, and one behind the last must not be taken
    # for a neighbour.
    wanted = ["c", None, "aa", "aaaa", "a", "zz", "b"]
    assert TextIndex(persons.ids).places(pa.array(wanted)).tolist() == [3, -1, -1, -1, 0, -1, 2, -1]
    assert TextIndex(persons.ids).places(pa.array([], pa.string())).tolist() == [-1]


def test_an_empty_index_knows_nobody():
    persons, _ = built([])
    assert TextIndex(persons.ids).places(pa.array(["a", None])).tolist() == [-1, -1, -1]


def test_ids_beyond_ascii_are_compared_by_their_bytes():
    names = ["é", "z", "日本", "aé"]
    persons, _ = built([(names, [0, 1, 2, 3])])
    assert (
        TextIndex(persons.ids).places(pa.array(names))[:-1].tolist()
        == np.argsort(np.argsort([n.encode() for n in names])).tolist()
    )
