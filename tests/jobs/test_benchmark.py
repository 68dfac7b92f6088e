"""The benchmark job: every suite in its short form, run as a command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from jobs.benchmark import main
from tests.sizes import first, slow
from xstat_ray.benchmarks.report import write
from xstat_ray.benchmarks.suites import SUITES
from xstat_ray.benchmarks.timing import Record

ROOT = Path(__file__).parents[2]
METRICS = {
    "kernels": {
        *(
            f"kernels.{operation}.{bits}"
            for operation in ("encrypt.owner", "sum", "decrypt")
            for bits in (2048, 3072)
        ),
        *("kernels.oprf.mark", "kernels.oprf.rows"),
    },
    "threads": {f"threads.{part}.3072" for part in ("encrypt.owner", "sum", "decrypt")},
    "paillier": {
        f"paillier.{operation}.{bits}"
        for operation in ("encrypt.owner", "encrypt.public", "decrypt", "keygen", "sum")
        for bits in (2048, 3072)
    }
    | {"paillier.interop.mismatches.2048"},
    "exchange": {"exchange.persons_per_s"},
    "noise": {
        *(f"noise.{role}.scale_24.bits_48" for role in ("row", "column", "aggregator", "pack")),
        *(f"noise.{kind}.scale_24.bits_48" for kind in ("opened", "dealt")),
    },
    "tags": {"tags.rows_per_s", "tags.sort.rows_per_s"},
    "join": {"join.rows_per_s", "join.cold.rows_per_s"},
    "order": {"order.intake.rows_per_s", "order.emit.rows_per_s", "order.all.rows_per_s"},
    "crosstab": {"crosstab.end_to_end", "crosstab.end_to_end.duckdb"},
    "smoothing": {"smoothing.left.beyond_1.spread_40", "smoothing.rmse.cell"},
    "shards": {
        *(
            f"shards.30.workers.1.{figure}"
            for figure in ("rows_per_s", "tree_depth", "stored_bytes")
        ),
        "shards.1.workers.1.efficiency",
    },
    "scale": {
        "scale.all.without_exchange",
        "scale.model.residual",
        "scale.trial.c7i.xlarge.dollars",
    },
    "profile": {"profile.row.emit", "profile.row.mask_table.share"},
    "parties": {"parties.counts.wall", "parties.second.flags", "parties.sums.processor"},
    "peers": {"peers.ours.2048", "peers.phe_packed.2048", "peers.duckdb"},
    "machines": {
        "machines.call",
        "machines.survey",
        "machines.trial.64.seconds",
        "machines.country.4.busy.row",
    },
    "privacy": {
        "privacy.rmse.tree.cells_65536",
        "privacy.shards.per_shard.4",
        "privacy.refine.seconds",
    },
}


def benchmark(*overrides, cwd):
    command = [sys.executable, "-m", "xstat_ray.cli", "benchmark", "size=short", *overrides]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


SHORT = ("tags", "join")
"""Suites for every run of the tests."""


LONG = (
    "scale",
    "shards",
    "machines",
    "parties",
    "profile",
    "order",
    "smoothing",
    "paillier",
    "kernels",
)
"""Suites for `make test-slow`."""
OTHERS = [suite for suite in SUITES if suite not in SHORT + LONG]


@pytest.mark.parametrize("suite", [*SHORT, *first(0, OTHERS), *first(0, LONG, slow)])
def test_the_short_form_of_every_suite_writes_its_metrics(suite, tmp_path):
    done = benchmark(f"suite={suite}", "out=out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert content["suite"] == suite
    metrics = {record["metric"] for record in content["records"]}
    assert METRICS[suite] <= metrics
    assert all(metric in done.stdout for metric in metrics)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize(
    ("overrides", "named"),
    first(
        1,
        [
            (["suite=speed", "out=out"], "suite"),
            (["out=out"], "suite"),
            (["suite=paillier", "out=out", "paillier.key_bits=[1024]"], "crypto.key_bits"),
            (["suite=tags", "out=out", "tags.cows=1"], "cows"),
            (["suite=shards", "out=out", "records=earlier.json"], "earlier.json"),
        ],
    ),
)
def test_what_is_wrong_on_the_command_line_is_named(overrides, named, tmp_path):
    done = benchmark(*overrides, cwd=tmp_path)
    assert done.returncode == 2
    assert named in done.stderr and "Traceback" not in done.stderr


def test_records_of_an_earlier_run_are_drawn_and_nothing_is_measured(tmp_path, capsys):
    cuts = [Record(f"shards.{n}.workers.2.rows_per_s", 1e6 * n, "rows/s") for n in (1, 2, 4)]
    earlier = write("shards", cuts, tmp_path / "earlier")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        composed = compose(
            "benchmark", ["suite=shards", f"records={earlier}", f"out={tmp_path / 'slides'}"]
        )
    main(OmegaConf.to_container(composed, resolve=True), "the command line")
    assert {path.name for path in (tmp_path / "slides").iterdir()} == {
        "throughput_by_shards.png", "throughput_by_shards.svg"
    }  # fmt: skip
    assert "shards.4.workers.2.rows_per_s" in capsys.readouterr().out
