"""Free space is looked at before a run, where it will be needed."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from tests.case import KEY_BITS, study
from xstat_ray.errors import InputError
from xstat_ray.planning.disk import check_disk, exchange_bytes, output_bytes, sent_bytes
from xstat_ray.planning.options import Options
from xstat_ray.util.location import Location

PLAN = Options(key_bits=KEY_BITS).plan(study())
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10_000, 9_000, 1_000))


@pytest.mark.usefixtures("nearly_full")
def test_a_disk_with_too_little_room_is_refused_by_its_setting(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    check_disk(folder, 1_000, "the run", "domain.exchange")
    with pytest.raises(InputError, match="1 kB free and the run takes up to 1 kB") as caught:
        check_disk(folder, 1_001, "the run", "domain.exchange")
    assert (caught.value.key, caught.value.file) == ("domain.exchange", str(folder))
    check_disk(Location.of("s3://bucket/folder"), 1_001, "the run", "out")


def test_what_crosses_grows_with_the_tables() -> None:
    assert sent_bytes(PLAN, "row", 1_000_000) - sent_bytes(PLAN, "row") == 20_000_000
    assert sent_bytes(PLAN, "column", 10) < sent_bytes(PLAN, "column", 1_000_000)
    everything = sum(
        sent_bytes(PLAN, role, 0 if role == "row" else 10**6) for role in ("row", "column")
    )
    assert everything + sent_bytes(PLAN, "aggregator") <= exchange_bytes(PLAN) + 1
    assert output_bytes(PLAN) > 4 * PLAN.table_bytes
