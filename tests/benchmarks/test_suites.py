"""All suites in small: their metrics are there and make sense, and no speed is asserted."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.heard import Heard
from tests.pages import ROOT
from tests.sizes import first, slow
from xstat_ray.benchmarks import (
    crosstab_suite,
    exchange_suite,
    join_suite,
    kernels_suite,
    noise_suite,
    paillier_suite,
    peers_child,
    peers_suite,
    privacy_suite,
    smoothing_suite,
    tags_suite,
    threads_suite,
)
from xstat_ray.benchmarks.suites import SUITES, benchmark_config
from xstat_ray.benchmarks.timing import Record
from xstat_ray.crypto.paillier import OwnerEncryptor
from xstat_ray.errors import InputError, StudyError, XstatError
from xstat_ray.model.study import Study
from xstat_ray.runtime.progress import Progress

PAILLIER = paillier_suite.Sizes(
    rounds=1, key_bits=(2048,), planned=10, encryptions=4, baseline_encryptions=2, decryptions=4,
    baseline_decryptions=2, keys=1, products=5, interop=3, interop_back=2,
)  # fmt: skip
CROSSTAB = crosstab_suite.Sizes(rounds=1, rows=12, cells=3, categories=2, key_bits=2048)
WITH_BASELINE = {
    "paillier.encrypt.owner.2048",
    "paillier.encrypt.public.2048",
    "paillier.encrypt.mask.2048",
    "paillier.decrypt.2048",
    "paillier.keygen.2048",
    "paillier.sum.2048",
}
WITHOUT_BASELINE = {f"paillier.tables.{role}.2048" for role in ("owner", "public", "mask")}
INTEROP = {"paillier.interop.mismatches.2048", "paillier.interop.checked.2048"}


def by_metric(records: list[Record]) -> dict[str, Record]:
    """Index records, and check that their medians lie within the spread."""
    assert len({record.metric for record in records}) == len(records)
    for record in records:
        assert record.spread is None or record.spread[0] <= record.value <= record.spread[1]
    return {record.metric: record for record in records}


def ratios(records: dict[str, Record]) -> set[str]:
    """Find the metrics that are compared with a baseline."""
    return {
        metric
        for metric, record in records.items()
        if record.ratio is not None and record.baseline is not None
    }


def test_paillier_compares_with_phe_and_each_opens_what_the_other_made():
    records = by_metric(paillier_suite.run(PAILLIER, Progress()))
    assert set(records) == WITH_BASELINE | WITHOUT_BASELINE | INTEROP
    assert ratios(records) == WITH_BASELINE
    assert records["paillier.interop.mismatches.2048"].value == 0
    assert records["paillier.interop.checked.2048"].value == 5


def test_a_ciphertext_that_the_other_side_opens_wrongly_is_counted(monkeypatch):
    right = paillier_suite.OwnerEncryptor.encrypt

    def wrong(self: OwnerEncryptor, messages: list[int], randomness: Any = None) -> Any:
        return right(self, [message + 1 for message in messages], randomness)

    monkeypatch.setattr(paillier_suite.OwnerEncryptor, "encrypt", wrong)
    records = by_metric(paillier_suite.run(PAILLIER, Progress()))
    assert records["paillier.interop.mismatches.2048"].value == 3


def test_paillier_without_phe_has_our_records_only(monkeypatch):
    monkeypatch.setitem(sys.modules, "phe", None)
    records = by_metric(paillier_suite.run(PAILLIER, Progress()))
    assert set(records) == WITH_BASELINE | WITHOUT_BASELINE
    assert not ratios(records)


KERNELS = kernels_suite.Sizes(
    rounds=1,
    key_bits=(2048,),
    planned=1,
    encryptions=8,
    products=20,
    segment=5,
    decryptions=4,
    persons=80,
    portable_part=2,
)
KERNEL_METRICS = {
    "kernels.encrypt.owner.2048",
    "kernels.encrypt.constant_time.2048",
    "kernels.encrypt.public.2048",
    "kernels.encrypt.mask.2048",
    "kernels.sum.2048",
    "kernels.decrypt.2048",
    "kernels.oprf.mark",
    "kernels.oprf.rows",
}


def test_kernels_are_compared_where_the_native_one_runs(monkeypatch):
    environment = dict(os.environ)
    cores = os.sched_getaffinity(0)
    records = by_metric(kernels_suite.run(KERNELS, Progress()))
    more = {"kernels.encrypt.beside_heu_ou.2048", "kernels.encrypt.avx2.2048"}
    assert set(records) - more == KERNEL_METRICS
    assert ratios(records) in (set(records), set())
    assert (os.environ, os.sched_getaffinity(0)) == (environment, cores)


def test_threads_are_compared_with_one():
    environment = dict(os.environ)
    records = by_metric(threads_suite.run(KERNELS, Progress()))
    metrics = {name.replace("kernels.", "threads.") for name in KERNEL_METRICS}
    metrics -= {"threads.oprf.mark", "threads.oprf.rows"}
    assert set(records) == metrics | {"threads.oprf.hidden", "threads.oprf.learned"}
    assert ratios(records) == set(records)
    assert os.environ == environment


def test_the_portable_kernel_is_timed_alone_elsewhere(monkeypatch, without_ifma):
    progress = Heard()
    monkeypatch.setitem(sys.modules, "heu", None)
    records = by_metric(kernels_suite.run(KERNELS, progress))
    assert set(records) == KERNEL_METRICS
    assert not ratios(records)
    assert progress.notes == [
        "heu is not installed: comparisons with it are left out.",
        "the kernel ifma cannot run: it was not built when the package was installed "
        "(install gcc, then reinstall the package): the kernel portable is timed alone.",
    ]


def test_avx2_is_timed_where_ifma_does_not_run(monkeypatch):
    monkeypatch.setattr(kernels_suite, "problem_of", lambda name: {"ifma": "no ifma"}.get(name))
    progress = Heard()
    bench = kernels_suite.KernelBench(KERNELS, progress)
    assert bench.names == ("avx2", "portable")
    assert progress.notes[-1] == "no ifma: the kernel avx2 is timed."


def test_exchange():
    records = by_metric(exchange_suite.run(exchange_suite.Sizes(1, 100), Progress()))
    assert set(records) - {"exchange.peak_bytes"} == {"exchange.persons_per_s"}


def test_the_exchange_that_is_timed_finds_who_is_in_both_tables():
    ids = np.array([b"%d" % number for number in range(300)])
    assert exchange_suite.exchange(ids[:200], ids[150:]) == 50


def test_noise():
    sizes = noise_suite.Sizes(2, (3,), (48, 64), rows=2, baseline_part=2)
    records = by_metric(noise_suite.run(sizes, Progress()))
    assert ratios(records) == {
        f"noise.{role}.scale_3.bits_{bits}"
        for role in ("row", "column", "aggregator")
        for bits in (48, 64)
    }
    # 7 digits, 14 coins: 117 bits to open and one more of each, 70 corrections and 8 bytes; headers.
    assert 14 * 118 / 8 < records["noise.opened.scale_3.bits_48"].value < 215
    assert 14 * (70 / 8 + 8) < records["noise.dealt.scale_3.bits_48"].value < 240


def test_tags():
    records = by_metric(tags_suite.run(tags_suite.Sizes(2, 1000, 50, 300), Progress()))
    assert set(records) - {"tags.peak_bytes"} == {"tags.rows_per_s", "tags.sort.rows_per_s"}


def test_tags_are_made_slice_by_slice_and_every_row_once(monkeypatch):
    sizes = []
    right = tags_suite.tags

    def spy(key: bytes, person_keys: Any, person: Any, period: Any) -> Any:
        sizes.append(len(person))
        return right(key, person_keys, person, period)

    monkeypatch.setattr(tags_suite, "tags", spy)
    tags_suite.run(tags_suite.Sizes(1, 1000, 50, 300), Progress())
    assert sizes[:4] == [300, 300, 300, 100] and sum(sizes) % 1000 == 0


def test_join():
    records = by_metric(join_suite.run(join_suite.Sizes(2, 1000, 60), Progress()))
    assert set(records) - {"join.peak_bytes"} == {"join.rows_per_s", "join.cold.rows_per_s"}


def test_half_of_the_flags_meet_rows(monkeypatch):
    matches = []
    right = join_suite.match
    monkeypatch.setattr(join_suite, "match", lambda *sides: matches.append(right(*sides)))
    join_suite.run(join_suite.Sizes(1, 1000, 60), Progress())
    assert {len(found.rows) for found in matches} == {30}


def test_crosstab():
    records = by_metric(crosstab_suite.run(CROSSTAB, Progress()))
    assert set(records) == {"crosstab.end_to_end", "crosstab.end_to_end.duckdb"}
    assert ratios(records) == {"crosstab.end_to_end"}


def test_crosstab_without_other_packages_has_our_record_only(monkeypatch):
    for name in ("phe", "duckdb"):
        monkeypatch.setitem(sys.modules, name, None)
    records = by_metric(crosstab_suite.run(CROSSTAB, Progress()))
    assert set(records) == {"crosstab.end_to_end"} and not ratios(records)


@pytest.mark.parametrize("wrong", first(1, ["our_counts", "phe_counts", "duckdb_counts"]))
def test_crosstab_does_not_compare_with_something_that_is_wrong(monkeypatch, wrong):
    right = getattr(crosstab_suite, wrong)
    monkeypatch.setattr(crosstab_suite, wrong, lambda *arguments: right(*arguments) + 1)
    with pytest.raises(XstatError, match="6 of the 6 counts"):
        crosstab_suite.run(CROSSTAB, Progress())


def test_the_tables_hold_half_of_the_people_twice(tmp_path):
    sizes = crosstab_suite.Sizes(1, 101, 4, 3, 2048)
    tables = crosstab_suite.make_tables(sizes, tmp_path)
    row, column = (dict(crosstab_suite.read_pairs(path)) for path in (tables.row, tables.column))
    assert len(row) == len(column) == 101
    counted = tables.truth * 0
    for person in row.keys() & column.keys():
        counted[int(row[person]), int(column[person])] += 1
    assert counted.sum() == 50 and (counted == tables.truth).all()


PRIVACY = privacy_suite.Sizes(
    rounds=1, draws=1, shards=(1, 16), counts=20_000, branching=(3, 4), columns=2
)


def test_privacy():
    records = by_metric(privacy_suite.run(PRIVACY, Progress()))
    blocks = [4**k for k in range(9)]
    assert set(records) == (
        {
            f"privacy.rmse.{name}.cells_{block}"
            for name in ("flat", "haar", "quadtree", "tree")
            for block in blocks
        }
        | {
            f"privacy.shards.{name}.{shards}"
            for name in ("once", "per_shard")
            for shards in (1, 16)
        }
        | {"privacy.design.seconds", "privacy.refine.seconds"}
    )
    error = {metric: record.value for metric, record in records.items()}
    for name in ("haar", "quadtree"):
        assert error["privacy.rmse.tree.cells_1"] < error[f"privacy.rmse.{name}.cells_1"] / 2
    assert error["privacy.rmse.flat.cells_1"] < error["privacy.rmse.tree.cells_1"]
    assert error["privacy.rmse.tree.cells_4096"] < error["privacy.rmse.flat.cells_4096"] / 4
    for metric, deviations in (
        ("once.1", 1),
        ("once.16", 1),
        ("per_shard.1", 1),
        ("per_shard.16", 4),
    ):
        assert error[f"privacy.shards.{metric}"] == pytest.approx(1.357 * deviations, rel=0.05)


def test_errors_of_all_draws_count_alike():
    done = []
    once, twice = (privacy_suite.area_errors(draws, done.append) for draws in (10, 12))
    assert done == [10, 10, 2]
    # The two more draws are at most two twelfths of the mean square.
    for name in once:
        assert (twice[name] ** 2 * 12 >= once[name] ** 2 * 10 - 1e-6).all()


SMOOTHING = smoothing_suite.Sizes(
    tuned=(1, 2), reported=(3,), people=1200, days=2, draws=2, beyond=(1, 2), spreads=(20, 80)
)


def test_smoothing(monkeypatch):
    rng = np.random.default_rng(1)

    def counts(duckdb: Any, study: Study, sizes: Any, seed: int) -> np.ndarray:
        # Every tenth place stands out of the noise, and is published.
        busy = np.arange(study.cells)[:, None] % 10 == 0
        return rng.poisson(3 + 600 * busy, (study.cells, study.slots))

    monkeypatch.setattr(smoothing_suite, "_counts", counts)
    published = {
        f"smoothing.published.{what}" for what in ("mean_error", "rmse", "within_30_percent")
    }
    withheld = {
        f"smoothing.withheld.size_{size}.{what}"
        for size in (1, 2, 3)
        for what in ("cells", "of_nobody", "within_30_percent")
    }
    records = check_smoothing()
    assert published | withheld <= set(records)
    # The higher the rule, the fewer cells it shows.
    shown = [records[f"smoothing.withheld.size_{size}.cells"].value for size in (1, 2, 3)]
    assert shown == sorted(shown, reverse=True)


@slow
def test_smoothing_of_worlds():
    check_smoothing()


def check_smoothing() -> dict[str, Record]:
    records = by_metric(smoothing_suite.run(SMOOTHING, Progress()))
    left = {f"smoothing.left.beyond_{k}.spread_{part}" for k in (1, 2) for part in (20, 80)}
    errors = {f"smoothing.rmse.{view}" for view in smoothing_suite.VIEWS}
    assert set(records) >= left | errors
    assert ratios(records) == errors
    assert all(0 < records[name].value < 1.5 for name in left)
    return records


def test_values_are_not_reported_on_a_world_on_which_they_were_chosen():
    with pytest.raises(InputError, match="the same worlds"):
        smoothing_suite.run(replace(SMOOTHING, reported=(2, 3)), Progress())
    assert not {*full_sizes("tuned")} & {*full_sizes("reported")}


def full_sizes(name: str) -> list[int]:
    """Seeds of the worlds of published figures."""
    settings = yaml.safe_load((ROOT / "conf/size/full.yaml").read_text(encoding="utf-8"))
    seeds: list[int] = settings["smoothing"][name]
    return seeds


def test_smoothing_is_not_measured_without_a_database(monkeypatch):
    progress = Heard()
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert smoothing_suite.run(SMOOTHING, progress) == []
    assert progress.notes == ["duckdb is not installed: comparisons with it are left out."]


RAW = {
    "suite": "tags",
    "out": "out",
    "display": "quiet",
    "tags": {"rounds": 2, "rows": 10, "persons": 5, "slice_rows": 4},
}


def test_a_configuration_gives_the_sizes_of_its_suite():
    config = benchmark_config(RAW, "here")
    assert config.sizes == tags_suite.Sizes(rounds=2, rows=10, persons=5, slice_rows=4)
    suites = (
        "kernels threads paillier exchange noise tags join order parties crosstab privacy smoothing "
        "shards scale machines profile peers"
    )
    assert set(SUITES) == set(suites.split())


def test_the_settings_and_the_makefile_list_all_suites():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    settings = (ROOT / "conf/benchmark.yaml").read_text(encoding="utf-8")
    (made,) = re.findall(r"for suite in (.*);", makefile)
    lists = re.findall(r"# +(?:suite=NAME +)?(kernels, [^.=]*?peers)\b", settings)
    assert set(made.split()) == set(SUITES)
    assert [set(re.findall(r"\w+", names)) - {"or"} for names in lists] == 2 * [set(SUITES)]


CUTS = {
    "people": 9,
    "days": 1,
    "part": 1,
    "shards": [1, 2],
    "workers": [1],
    "window": 4,
    "key_bits": 2048,
    "rounds": 1,
}


def test_shards_workers_and_days_may_stand_at_the_top():
    config = benchmark_config(
        {
            **RAW,
            "suite": "shards",
            "cuts": CUTS,
            "shards": [4, 8],
            "workers": 2,
            "days": None,
            "tables": "world",
        },
        "here",
    )
    sizes = config.sizes
    assert (sizes.shards, sizes.workers, sizes.days, sizes.tables) == (
        (4, 8),
        (2,),
        1,
        Path("world"),
    )
    with pytest.raises(StudyError) as refused:
        benchmark_config({**RAW, "days": 7}, "here")
    assert refused.value.key == "tags.days"


PEERS = peers_suite.Sizes(None, rounds=1, rows=30, slow_rows=6, middle_rows=6, key_bits=(2048,))


def test_peers_that_are_not_installed_are_left_out_with_a_note(monkeypatch):
    progress = Heard()
    notes = progress.notes
    records = by_metric(peers_suite.run(PEERS, progress))
    assert set(records) == {"peers.ours.2048", "peers.phe_packed.2048", "peers.duckdb"}
    assert ratios(records) == {"peers.phe_packed.2048", "peers.duckdb"}
    assert len(notes) == len(peers_child.PEERS) and all(
        "no Python is named" in note for note in notes
    )


def test_a_python_without_the_peers_leaves_them_out(monkeypatch):
    progress = Heard()
    notes = progress.notes
    monkeypatch.setattr(peers_child, "PEERS", {"openmined_psi": peers_child.openmined})
    records = by_metric(
        peers_suite.run(replace(PEERS, peers_python=Path(sys.executable)), progress)
    )
    assert "peers.phe_packed.2048" in records
    assert (
        sum("No module named" in note or "it failed" in note for note in notes) == len(notes) == 3
    )


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"suite": "speed"}, "suite"),
        ({"display": "loud"}, "display"),
        ({"tags": {**RAW["tags"], "rows": 0}}, "tags.rows"),
        ({"tags": {**RAW["tags"], "rows": True}}, "tags.rows"),
        ({"tags": {**RAW["tags"], "rows": "many"}}, "tags.rows"),
        ({"tags": {**RAW["tags"], "cows": 1}}, "tags.cows"),
        ({"tags": {"rounds": 1, "rows": 1, "persons": 1}}, "tags.slice_rows"),
    ],
)
def test_a_wrong_value_is_refused_by_name(change, key):
    with pytest.raises(StudyError) as refused:
        benchmark_config(RAW | change, "here")
    assert refused.value.key == key
