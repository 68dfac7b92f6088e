"""Writing a world: equal bytes in any order, and folders that are left alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from xstat_ray.errors import InputError
from xstat_ray.hokkaido.world.build import (
    DESCRIPTION,
    TABLES,
    BlockTables,
    build,
    make_block,
    presence_file,
)


def digests(folder: Path) -> dict[str, str]:
    """Hash all files of a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


MakeBlock = Callable[[int], BlockTables]


def backwards(function: MakeBlock, blocks: Iterable[int]) -> Iterator[BlockTables]:
    """Make the last block first."""
    made = {block: function(block) for block in sorted(blocks, reverse=True)}
    return (made[block] for block in sorted(made))


def ignore(_: BlockTables) -> None:
    """Take no notice of progress."""


def test_the_order_in_which_blocks_are_made_does_not_matter(world, built, tmp_path):
    build(world, tmp_path / "other", backwards, ignore)
    assert digests(tmp_path / "other") == digests(built)


def test_the_folder_holds_the_tables_and_says_what_is_in_them(world, built):
    made = json.loads((built / DESCRIPTION).read_text())
    assert made["world"] == world.as_dict()
    for name, schema in TABLES.items():
        table = pq.read_table(built / name)
        # Parquet has no timestamps of seconds.
        assert table.schema.names == schema.names
        assert table.cast(schema).num_rows == made["rows"][name]
    files = sorted((built / "operator" / "presence").rglob("*.parquet"))
    assert files == sorted(
        presence_file(built, date, block) for date in world.dates for block in range(world.blocks)
    )
    assert made["rows"]["operator/presence"] == sum(
        pq.read_metadata(file).num_rows for file in files
    )
    assert not [
        path for path in built.rglob("*") if path.name.startswith(".") or "unfinished" in path.name
    ]


def test_a_block_of_a_longer_world_has_the_same_days(world, built, tmp_path):
    longer = dataclasses.replace(world, days=world.days + 2)
    make_block(longer, tmp_path, 0)
    for date in world.dates:
        assert (
            presence_file(tmp_path, date, 0).read_bytes()
            == presence_file(built, date, 0).read_bytes()
        )


def test_another_seed_makes_other_people(world, built, tmp_path):
    build(dataclasses.replace(world, seed=8), tmp_path / "other", map, ignore)
    mine, other = (
        pq.read_table(folder / "operator" / "subscribers.parquet")
        for folder in (built, tmp_path / "other")
    )
    assert len(set(mine["subscriber"].to_pylist()) & set(other["subscriber"].to_pylist())) < 10


def test_a_finished_world_is_not_made_again(world, built):
    before = digests(built)
    made = build(world, built, lambda *_: pytest.fail("it is there"), ignore)
    assert made == json.loads((built / DESCRIPTION).read_text())
    assert digests(built) == before


def test_an_interrupted_world_is_made_anew_with_the_same_bytes(world, built, tmp_path):
    def interrupted(function: MakeBlock, blocks: Iterable[int]) -> Iterator[BlockTables]:
        for block in list(blocks)[:2]:
            yield function(block)
        raise KeyboardInterrupt

    out = tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        build(world, out, interrupted, ignore)
    assert not (out / DESCRIPTION).exists()
    # What a killed process leaves, which removes nothing behind itself.
    (out / "operator" / ".subscribers.parquet.0123456789abcdef.partial").write_bytes(b"half")
    build(world, out, map, ignore)
    assert digests(out) == digests(built)


def test_a_folder_of_something_else_is_left_alone(world, built, tmp_path):
    (tmp_path / "mine.txt").write_text("dear diary")
    file = tmp_path / "mine.txt"
    for settings, out in (
        (world, tmp_path),
        (world, file),
        (dataclasses.replace(world, days=2), built),
    ):
        with pytest.raises(InputError, match="out") as caught:
            build(settings, out, lambda *_: pytest.fail("must not start"), ignore)
        assert str(out) in str(caught.value)
    assert file.read_text() == "dear diary"


def test_a_description_that_cannot_be_read_is_of_other_settings(world, tmp_path):
    (tmp_path / DESCRIPTION).write_text("{")
    with pytest.raises(InputError, match="other settings"):
        build(world, tmp_path, map, ignore)


def test_progress_is_told_of_every_block(world, tmp_path):
    seen = []
    build(world, tmp_path / "new", map, lambda block: seen.append(block.people))
    assert seen == [1_000, 1_000, 500]
