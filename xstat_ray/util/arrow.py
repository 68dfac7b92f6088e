"""Keeps pyarrow from importing pandas in processes that are ours.

With the first array that it makes, and with some of its own modules, pyarrow imports pandas if that
is installed, to find out whether it was handed something of pandas. That takes half a second and
tens of megabytes in every process, and nothing here uses pandas.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder

_NAME = "pandas"


class _Hiding(MetaPathFinder):
    """Finds everything where it is, but for pandas."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Refuse to find pandas, and leave all else to others.

        Raises:
            ModuleNotFoundError: it is pandas.
        """
        if fullname == _NAME:
            raise ModuleNotFoundError(f"{_NAME} is not used here", name=_NAME)


_HIDING = _Hiding()


def hide_pandas() -> None:
    """Have imports of pandas fail until `do_without_pandas` is called."""
    if _HIDING not in sys.meta_path:
        sys.meta_path.insert(0, _HIDING)


def do_without_pandas() -> None:
    """Have pyarrow take note, where it is imported, that there is no pandas, and show it again.

    What converts to pandas still imports it afterwards. Where pandas is imported, nothing changes.
    """
    hide_pandas()
    try:
        if "pyarrow" in sys.modules and _NAME not in sys.modules:
            import pyarrow as pa

            pa.array([])
    finally:
        sys.meta_path.remove(_HIDING)
