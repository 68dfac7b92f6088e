"""How the files of a table are read, where neither they nor their names tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from xstat_ray.errors import InputError

Int96 = Literal["refuse", "utc", "local"]
"""What times are that Parquet stores as INT96, which has no place for a zone."""
Multiline = Literal["stop", "allow"]
"""What becomes of a quoted field of CSV that spans lines and could be whole rows."""

FORMAT_NAMES = {
    "parquet": "parquet",
    "arrow": "ipc",
    "csv": "csv",
    "tsv": "tsv",
    "jsonl": "jsonl",
    "orc": "orc",
}
"""Names that the setting `format` has, and what the code calls them."""
INT96_KINDS: tuple[Int96, ...] = get_args(Int96)
MULTILINE_KINDS: tuple[Multiline, ...] = get_args(Multiline)
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "colon": ":"}
"""Names of delimiters, which need no quotes on a command line."""


@dataclass(frozen=True)
class TableOptions:
    """Settings of one table, which hold for the lists of people to leave out as well."""

    encoding: str | None = None
    """Encoding of text in CSV and JSON lines, such as cp932 or utf-16-le; None is UTF-8. The
    byte-order mark of a file counts more."""
    format: str | None = None
    """One of `FORMAT_NAMES`: what files are whose names do not tell."""
    delimiter: str | None = None
    """One character, or one of the names in `DELIMITERS`, that divides the fields of CSV; None is a
    comma, and a tab in TSV."""
    int96: Int96 = "refuse"
    """Times stored as INT96: refused, instants in UTC as Spark writes them, or local times."""
    multiline: Multiline = "stop"
    """`allow` accepts quoted fields of CSV that span lines and could be whole rows."""
    section: str = field(default="", compare=False)
    """Where the settings stand, such as `data.row`; for messages."""
    in_study: bool = field(default=False, compare=False)
    """Whether they stand in a study, beside the file of a domain; for messages."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            InputError: one has a value that it cannot have; `key` names it.
        """
        if self.encoding is not None:
            _check_encoding(self.encoding)
        if self.format is not None and self.format not in FORMAT_NAMES:
            raise _bad("format", f"Choose one of {', '.join(FORMAT_NAMES)}")
        if self.delimiter is not None and not _is_delimiter(self.field_end):
            raise _bad(
                "delimiter", f"Write one character of ASCII, or one of {', '.join(DELIMITERS)}"
            )
        if self.int96 not in INT96_KINDS:
            raise _bad("int96", f"Choose one of {', '.join(INT96_KINDS)}")
        if self.multiline not in MULTILINE_KINDS:
            raise _bad("multiline", f"Choose one of {', '.join(MULTILINE_KINDS)}")

    @property
    def field_end(self) -> str:
        """The character that divides fields; a comma where none is set."""
        given = "," if self.delimiter is None else self.delimiter
        return DELIMITERS.get(given, given)

    @property
    def encoding_remedy(self) -> str:
        """What to do about text that is not UTF-8."""
        return (
            "Convert the file to UTF-8, or name its encoding, such as "
            f"{self.setting('encoding=cp932')}"
        )

    def setting(self, text: str) -> str:
        """Write a setting as it is typed, such as `data.row.int96=utc` for `int96=utc`."""
        if self.in_study:
            return f"{text.replace('=', ': ', 1)} beside file in the study"
        return f"{self.section}.{text}" if self.section else text


NOTHING_SET = TableOptions()
"""The options of a table whose files tell all that is needed."""


def _check_encoding(name: str) -> None:
    try:
        b"".decode(name)
        "".encode(name)
    except (LookupError, ValueError):
        remedy = "Write a name that Python knows, such as cp932, euc_jp or utf-16-le"
        raise _bad("encoding", remedy) from None


def _is_delimiter(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text not in '"\r\n\0'


def _bad(key: str, remedy: str) -> InputError:
    return InputError(f"{key} has a value that it cannot have", key=key, remedy=remedy)
