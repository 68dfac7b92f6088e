"""pyarrow without pandas: arrays are made without it, and what converts to it still finds it."""

from __future__ import annotations

import subprocess
import sys

from tests.pages import ROOT

MADE = "pa.array(['a', 'b']); pa.table({'a': [1]}); pa.scalar(1)"


def loads_pandas(*lines: str) -> bool:
    """Whether a new process has imported pandas when it has run these lines."""
    code = "\n".join(["import sys", *lines, "print('pandas' in sys.modules)"])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip() == "True"


def test_arrays_are_made_without_pandas() -> None:
    start = ["import pyarrow as pa", "from xstat_ray.util.arrow import do_without_pandas"]
    assert not loads_pandas(*start, "do_without_pandas()", MADE)
    # Where pyarrow is not told, it does import it: this test can fail.
    assert loads_pandas(*start, MADE)


def test_what_converts_to_pandas_still_does() -> None:
    assert loads_pandas(
        "import pyarrow as pa",
        "from xstat_ray.util.arrow import do_without_pandas",
        "do_without_pandas()",
        "frame = pa.table({'a': [1, 2]}).to_pandas()",
        "assert pa.Table.from_pandas(frame).to_pydict() == {'a': [1, 2]}",
    )


def test_pandas_that_is_there_is_left_alone() -> None:
    assert loads_pandas(
        "import pyarrow as pa",
        "import pandas as pd",
        "from xstat_ray.util.arrow import do_without_pandas",
        "do_without_pandas()",
        "assert pa.array(pd.Series([1.0, None])).null_count == 1",
    )


def test_pyarrow_is_not_imported_for_it() -> None:
    assert not loads_pandas(
        "from xstat_ray.util.arrow import do_without_pandas",
        "do_without_pandas()",
        "assert 'pyarrow' not in sys.modules",
    )
