"""What the documentation tells people to type is run here, and what it links to exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from xstat_ray.geo import hokkaido
from xstat_ray.inputs.study_file import parse

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)


def environment():
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


@pytest.fixture
def folder(tmp_path):
    (study,) = blocks("README.md", "yaml")
    (tmp_path / "my_conf" / "study").mkdir(parents=True)
    (tmp_path / "my_conf" / "study" / "shops.yaml").write_text(study)
    (tmp_path / "presence.csv").write_text("phone,area\n090-1234-5678,Kushiro\n+81 90 2345 6789,Nemuro\n")
    (tmp_path / "members.csv").write_text("tel,rank\n+819012345678,gold\n09099998888,blue\n")
    return tmp_path


@pytest.mark.ray
def test_readme_command_runs_on_own_tables(folder):
    (command,) = [block for block in blocks("README.md", "bash") if "jobs.crosstab" in block]
    done = subprocess.run(["bash", "-euc", command], cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(folder / "out/shops/statistics.parquet").num_rows == 3 * 2


def test_readme_python_runs_on_own_tables(folder):
    (code,) = blocks("README.md", "python")
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(folder / "out/shops2/statistics.parquet").num_rows == 3 * 2


def test_plans_in_the_budget_page_are_printed_without_tables(tmp_path):
    (commands,) = blocks("docs/budget.md", "bash")
    done = subprocess.run(["bash", "-euc", commands], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    (answer,) = re.findall(r"answers with `(privacy\.epsilon=[\d.]+)`", (ROOT / "docs/budget.md").read_text())
    assert f"{answer}," in done.stdout
    assert '"compared"' in done.stdout and not list(tmp_path.iterdir())


@pytest.mark.ray
def test_the_command_of_the_world_page_makes_the_files_it_lists(tmp_path):
    (command,) = blocks("docs/world.md", "bash")
    small = f"{command.strip()} world.people=900 world.block=300 world.days=1"
    done = subprocess.run(["bash", "-euc", small], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "data" / "hokkaido"
    listed = re.findall(r"^\| `([\w/=*.-]+\.(?:parquet|json))`", (ROOT / "docs/world.md").read_text(), re.M)
    found = {path for pattern in listed for path in out.glob(pattern)}
    assert found == {path for path in out.rglob("*") if path.is_file()}


def test_examples_of_dimensions_and_windows_are_valid_studies(tmp_path):
    dimensions, references, hierarchies, windows = (
        yaml.safe_load(block) for block in blocks("docs/studies.md", "yaml")
    )
    (tmp_path / "areas.csv").write_text("mesh,town,region\n654321,Kushiro,east\n654322,Nemuro,east\n")
    study = {
        "name": "doc",
        "period": {"grain": "15min", "start": "2023-08-28", "end": "2023-09-28", "timezone": "Asia/Tokyo"},
        "row": {"id": "id", "time": "t", "dimensions": dimensions},
        "column": {"id": "id", "dimensions": [], **windows},
    }
    parsed = parse({"study": study}, origin=str(tmp_path / "doc.yaml"))
    assert [d.size for d in parsed.row.dimensions] == [3, 19, 3, 2]
    assert parsed.column_labels[0][1][:2] == ("departure-6h", "departure-5h")
    assert parsed.window_periods == 9
    study["row"]["dimensions"] = references
    geographic = parse({"study": study}, origin=str(tmp_path / "doc.yaml"))
    assert geographic.row.dimensions[0].labels[0] in hokkaido.municipalities()["name_en"].to_pylist()
    assert [d.size for d in geographic.row.dimensions] == [179, 2729]
    study["row"]["dimensions"] = hierarchies
    deep = parse({"study": study}, origin=str(tmp_path / "doc.yaml"))
    assert [[level.name for level in d.hierarchy] for d in deep.row.dimensions] == [
        ["town", "region"],
        ["coast"],
        ["4x4"],
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_named_tests_exist(page):
    text = page.read_text()
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in t]
    assert all((page.parent / target).exists() for target in targets), targets
    named = re.findall(r"`((?:tests|xstat_ray|jobs|conf)/[\w/.]+\.\w+)`", text)
    assert all((ROOT / name).exists() for name in named), [n for n in named if not (ROOT / n).exists()]
