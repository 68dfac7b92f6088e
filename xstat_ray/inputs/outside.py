"""Tables that are not files of a party's disk: tables of lakes and databases, and those of Python.

Such a table is read once, as one stream, into files that only the party can read (`spool`). All
readings of a run are readings of these files, so they see one state of the table, whatever is
written to it meanwhile.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

from xstat_ray.errors import InputError, XstatError


class Opened(NamedTuple):
    """A table that is open for reading, at one state."""

    columns: Sequence[str]
    """Names of its columns."""
    read: Callable[[Sequence[str]], pa.RecordBatchReader]
    """Streams these columns, and perhaps others."""
    version: str = ""
    """Which state of the table is read, as the name of a folder; empty where states have none."""


class OutsideTable(ABC):
    """A table that is no file of a disk; `str` names it, without any secret or value."""

    parses: ClassVar[bool] = False
    """Whether text may hold times and numbers, as where the table has no types for them."""

    @abstractmethod
    def check(self) -> None:
        """Check what can be checked without reading the table.

        Raises:
            InputError: a package is missing, or the table is not there.
        """

    @abstractmethod
    def open(self) -> AbstractContextManager[Opened]:
        """Open the table, for one reading."""

    @abstractmethod
    def identity(self) -> str:
        """Describe what is read, without secrets: equal for the same table, version and query."""

    @abstractmethod
    def explain(self, error: Exception) -> InputError:
        """Say what an error of the package that reads the table means; its text may hold values."""


@contextmanager
def explaining(table: OutsideTable) -> Iterator[None]:
    """Replace errors of the package that reads a table, whose texts may hold values of it.

    Raises:
        InputError: what the table makes of the error.
    """
    try:
        yield
        return
    except (XstatError, MemoryError):
        raise
    except Exception as error:
        explained = table.explain(error)
    raise explained from None


def extra(module: str, name: str, what: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: name of the module.
        name: the extra of this package that installs it.
        what: what it is needed for.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
    raise InputError(
        f"{what} needs the package {package}", remedy=f"pip install 'xstat-ray[{name}]'"
    )
