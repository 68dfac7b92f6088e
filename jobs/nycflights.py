"""Write the demo's two tables.

python -m jobs.nycflights data/nycflights
"""

from __future__ import annotations

import sys
from pathlib import Path

from xstat_ray.errors import XstatError
from xstat_ray.inputs.nycflights import write_tables

if __name__ == "__main__":
    try:
        for table in write_tables(Path(sys.argv[1] if len(sys.argv) > 1 else "data/nycflights")):
            print(table)
    except XstatError as error:
        sys.exit(f"Error: {error}")
