"""Finds files that somebody has copied by hand inside a table, whose rows would count twice.

A copy is told by its name, as browsers and desktops give it, and by its content, which is looked at
only then. Two files with other names may hold the same by chance.
"""

from __future__ import annotations

import filecmp
import re
from collections.abc import Sequence

from xstat_ray.errors import InputError
from xstat_ray.inputs.table_walk import Found, shown
from xstat_ray.util.location import Location

_COPIED = re.compile(
    r"(?:Copy of )?(?P<name>[^/]+?)"
    r"(?: ?\(\d+\)|(?: - Copy| - コピー)(?: \(\d+\))?| copy(?: \d+)?|のコピー(?: ?\d+)?)?"
    r"(?P<ending>(?:\.\w+)+)"
)


def refuse_copies(files: Sequence[Found]) -> None:
    """Refuse a file that is called a copy of a neighbour and is one.

    Raises:
        InputError: there is such a file.
    """
    local = {file.name: file.path for file in files if file.path.is_local}
    for name, path in local.items():
        folder, slash, last = name.rpartition("/")
        parts = _COPIED.fullmatch(last)
        original = parts and local.get(f"{folder}{slash}{parts['name']}{parts['ending']}")
        if original and original is not path and _are_same(original, path):
            raise InputError(
                f"the file is a copy of {shown(original)}, by its name and by what it holds",
                file=shown(path),
                remedy="Remove it, or its rows would be counted twice; or begin its name with '_' "
                "to leave it out",
            )


def _are_same(path: Location, other: Location) -> bool:
    try:
        return filecmp.cmp(path, other, shallow=False)
    except OSError:
        # Whoever reads it says what is wrong.
        return False
