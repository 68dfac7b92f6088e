"""The columns of a table: what each is used as, which types that accepts, and what they become.

| use | accepted types | becomes |
|---|---|---|
| id | text, whole numbers, also as floats and decimals | dictionary of text |
| value | text, numbers, truth values | dictionary of text, `true` and `false` |
| time | timestamps and dates; ISO 8601 text in CSV | timestamp[us], with its zone if it has one |
| number | numbers | float64, null as NaN |

The *family* of a column is what must agree between the files of a table: `text`, `whole`, `zoned`,
`naive`, `number`; or `unknown` where a column holds only nulls or is not yet parsed.

A data frame turns whole numbers with gaps into floats, so whole numbers among ids and values may be
stored as floats or decimals: they become their digits. Floats beyond those that are exact are
refused, as two numbers may have become one. A fraction among ids becomes null.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from xstat_ray.errors import InputError
from xstat_ray.inputs.clean_text import VALUE_NULL_WORDS
from xstat_ray.inputs.table_options import NOTHING_SET, TableOptions
from xstat_ray.util.nulls import filled

ColumnUse = Literal["id", "time", "number", "value"]
"""What a column is used as: the person, a time, a weight, or a value of a domain."""

UNKNOWN = "unknown"
REMEDIES = {
    "id": "Store ids as text or as whole numbers",
    "value": "Store the values of a dimension as text or as whole numbers",
    "time": "Store times as timestamps or dates",
    "number": "Store it as a number",
}
_NO_NUMBER = ("not a number", "Write numbers such as 12 or 0.5, or leave it empty")
_AGAIN = "Write the file again, with text in UTF-8"
_NULL_WORDS = ("", "NA", *VALUE_NULL_WORDS)
"""What exporting tools write for a missing time or number. In a column of text only the empty text
is null."""
_ISO = "Write ISO 8601 times, such as 2023-08-28T05:00:00 or 2023-08-28T05:00:00+09:00"
_PAST_MIDNIGHT = re.compile(r"(^|[T ])(2[4-9]|[3-9][0-9]|[0-9]{3,}):")
_COUNT = re.compile(r"[0-9]+([.][0-9]+)?")
_FINER = r"([0-9][.][0-9]{6})[0-9]+"
"""Digits of a second beyond the sixth."""
_ZONED = r"[T ][0-9:.,]+ *(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"


def family(use: ColumnUse, kind: pa.DataType) -> str | None:
    """Family of a stored type, None where the use does not accept it."""
    if pt.is_dictionary(kind):
        kind = kind.value_type
    if pt.is_null(kind):
        return UNKNOWN
    if use == "time":
        if pt.is_timestamp(kind):
            return "naive" if kind.tz is None else "zoned"
        return "naive" if pt.is_date(kind) else None
    if use == "number":
        return (
            "number" if pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind) else None
        )
    truth = use == "value" and pt.is_boolean(kind)
    if truth or pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind):
        return "text"
    return "whole" if pt.is_integer(kind) or _is_fractional(kind) else None


def _is_fractional(kind: pa.DataType) -> bool:
    return bool(pt.is_floating(kind) or pt.is_decimal(kind))


def text_family(use: ColumnUse, texts: pa.Array) -> str:
    """Family of a column that is stored as text to be parsed, judged by its first values."""
    if use == "time":
        zoned = _is_zoned(_without_null_words(texts)).drop_null()
        return UNKNOWN if len(zoned) == 0 else "zoned" if zoned[0].as_py() else "naive"
    return "number" if use == "number" else "text"


@dataclass(frozen=True)
class Place:
    """The place that an array comes from, for error messages."""

    file: str
    column: str
    first_row: int
    """Row in the file, from 1, of the array's first value."""
    options: TableOptions = NOTHING_SET
    """How the file is read; for remedies."""

    def error(self, problem: str, index: int, remedy: str) -> InputError:
        """Make an error about the value at `index` of the array."""
        return InputError(
            problem, file=self.file, column=self.column, row=self.first_row + index, remedy=remedy
        )

    def apply(
        self,
        kernel: Callable[[pa.Array], pa.Array],
        values: pa.Array,
        explain: Callable[[pa.Scalar], tuple[str, str]],
    ) -> pa.Array:
        """Call `kernel(values)`, and where it refuses a value tell the row but not the value.

        Arrow's errors quote the value, so they must not leave the party.

        Args:
            kernel: converts values, each by itself.
            values: (N,) values.
            explain: gives problem and remedy for a value that `kernel` refuses.

        Raises:
            InputError: the kernel refused a value.
        """
        try:
            return kernel(values)
        except pa.ArrowInvalid:
            index = _first_failure(kernel, values)
        problem, remedy = explain(values[index])
        raise self.error(problem, index, remedy)


def convert(values: pa.Array, use: ColumnUse, place: Place, *, parse: bool) -> pa.Array:
    """Convert a stored column to the one type of its use.

    Args:
        values: (N,) as stored; of a type that `family` accepts, or text if `parse`.
        use: what the column is used as.
        place: where the values come from.
        parse: whether the column is text to be parsed (CSV, folder names).

    Returns:
        (N,) values of the type in the table above.

    Raises:
        InputError: a value is not UTF-8 or cannot be read; names the row, never the value.
    """
    if pt.is_dictionary(values.type):
        _check_codes(values, place)
    if use in ("id", "value"):
        return _as_dictionary(
            values, use, place, place.options.encoding_remedy if parse else _AGAIN
        )
    if pt.is_dictionary(values.type):
        values = values.dictionary_decode()
    if parse:
        values = _checked_text(values, place, place.options.encoding_remedy)
        values = _without_null_words(values)
    if use == "number":
        return filled(place.apply(_as_number, values, lambda _: _NO_NUMBER), float("nan"))
    zone = _zone(values, place)
    return place.apply(lambda part: _as_time(part, zone), values, _no_time)


def _check_codes(values: pa.DictionaryArray, place: Place) -> None:
    """Refuse codes that stand for no value, which Arrow reads from some damaged Parquet files."""
    ends = pc.min_max(values.indices).as_py()
    known = len(values.dictionary)
    if ends["max"] is not None and not 0 <= ends["min"] <= ends["max"] < known:
        codes = values.indices.cast(pa.int64())
        bad = pc.or_(pc.less(codes, 0), pc.greater_equal(codes, known)).fill_null(False)
        raise place.error(
            "the column refers to a value that the file lacks",
            bad.index(True).as_py(),
            "Write it again",
        )


def _as_dictionary(
    values: pa.Array, use: ColumnUse, place: Place, remedy: str
) -> pa.DictionaryArray:
    """(N,) values as a dictionary of text, so that later work is done once for equal values.

    The dictionary may hold a text twice, texts that no row has, or null.
    """
    stored = values.type.value_type if pt.is_dictionary(values.type) else values.type
    if _is_fractional(stored):
        values = _digits(values, use, place)
    elif not (pt.is_dictionary(values.type) or pt.is_integer(values.type)):
        # Before the encoding, so that the row can be told.
        values = _checked_text(values, place, remedy)
    coded = values if pt.is_dictionary(values.type) else values.dictionary_encode()
    try:
        texts = _as_text(coded.dictionary)
    except pa.ArrowInvalid:
        _checked_text(values.dictionary_decode(), place, remedy)
        # Only a text that no row has is not UTF-8.
        return _as_dictionary(values.dictionary_decode(), use, place, remedy)
    # The codes have been checked, or were just made.
    return pa.DictionaryArray.from_arrays(coded.indices.cast(pa.int32()), texts, safe=False)


def _digits(values: pa.Array, use: ColumnUse, place: Place) -> pa.DictionaryArray:
    """(N,) floats or decimals as a dictionary of text, whole ones by their digits.

    Raises:
        InputError: a float is so large that another number may have become the same.
    """
    if pt.is_dictionary(values.type):
        values = values.dictionary_decode()
    nothing = pa.scalar(None, pa.string())
    if pt.is_decimal(values.type):
        if values.type.scale < 0 or values.type.bit_width < 128:
            # Arrow writes the former with an exponent, and cannot encode the latter.
            values = values.cast(pa.decimal256(_MOST_DIGITS, max(0, values.type.scale)))
        coded = values.dictionary_encode()
        texts = _digits_of_decimals(coded.dictionary)
        if use == "id":
            texts = pc.if_else(pc.match_substring(texts, "."), nothing, texts)
        return pa.DictionaryArray.from_arrays(coded.indices, texts)
    limit = float(_EXACT[values.type])
    numbers = values.cast(pa.float64())
    large = pc.and_(pc.is_finite(numbers), pc.greater_equal(pc.abs(numbers), limit))
    if pc.any(large).as_py():
        raise place.error(
            "a float of this size may stand for several whole numbers",
            large.index(True).as_py(),
            REMEDIES[use],
        )
    coded = numbers.dictionary_encode()
    distinct = coded.dictionary
    finite = pc.is_finite(distinct)
    whole = pc.and_(finite, pc.equal(pc.floor(distinct), distinct))
    digits = pc.if_else(whole, distinct, 0.0).cast(pa.int64()).cast(pa.string())
    fractions = pc.if_else(finite, distinct.cast(pa.string()), nothing)
    texts = pc.if_else(whole, digits, nothing if use == "id" else fractions)
    return pa.DictionaryArray.from_arrays(coded.indices, texts)


def _digits_of_decimals(numbers: pa.Array) -> pa.Array:
    """(N,) text of decimals without the zeros at the end of their fraction."""
    texts = numbers.cast(pa.string())
    texts = pc.replace_substring_regex(texts, r"(\.[0-9]*?)0+$", r"\1")
    return pc.replace_substring_regex(texts, r"\.$", "")


_MOST_DIGITS = 76
"""Digits that a decimal can have."""
_EXACT = {pa.float16(): 1 << 11, pa.float32(): 1 << 24, pa.float64(): 1 << 53}
"""Below these numbers, floats tell whole numbers apart."""


def _checked_text(values: pa.Array, place: Place, remedy: str) -> pa.Array:
    return place.apply(_as_text, values, lambda _: ("text is not UTF-8", remedy))


def _zone(times: pa.Array, place: Place) -> str | None:
    """Time zone of stored or written times, None for local times."""
    if pt.is_timestamp(times.type):
        zone: str | None = times.type.tz
        return zone
    if not pt.is_string(times.type):
        return None
    zoned = _is_zoned(times)
    kinds = zoned.drop_null().unique().to_pylist()
    if len(kinds) > 1:
        raise zones_mixed(
            place.file, place.column, place.first_row + pc.index(zoned, kinds[1]).as_py()
        )
    return "UTC" if kinds == [True] else None


def zones_mixed(file: str, column: str, row: int | None) -> InputError:
    """Make the error for a column in which some times have a zone and others do not."""
    return InputError(
        "time zones mixed: some times have a zone, others none",
        file=file,
        column=column,
        row=row,
        remedy="Give every time of the column a zone, or none (then they are local to the study's "
        "timezone)",
    )


def _without_null_words(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_in(texts, pa.array(_NULL_WORDS)), pa.scalar(None, pa.string()), texts)


def _is_zoned(texts: pa.Array) -> pa.Array:
    """(N,) whether each ISO 8601 text has an offset from UTC; null stays null."""
    return pc.match_substring_regex(texts, _ZONED)


def _as_text(values: pa.Array) -> pa.Array:
    # Readers trust a file that it holds UTF-8, and so would everything after this point.
    values.validate(full=True)
    return values.cast(pa.string())


def _as_time(values: pa.Array, zone: str | None) -> pa.Array:
    # Only the digits below a microsecond may be lost.
    options = pc.CastOptions(pa.timestamp("us", zone), allow_time_truncate=True)
    try:
        return pc.cast(values, options=options)
    except pa.ArrowInvalid:
        if not pt.is_string(values.type):
            raise
    return pc.cast(pc.replace_substring_regex(values, _FINER, r"\1"), options=options)


def _no_time(value: pa.Scalar) -> tuple[str, str]:
    """Problem and remedy for a value that is no time."""
    text = value.as_py() if pt.is_string(value.type) else ""
    if _PAST_MIDNIGHT.search(text):
        remedy = "Write hours past midnight with the next date: 24:10 on 1 May is 00:10 on 2 May"
        return "not a time that can be read: its hour is past 23", remedy
    if _COUNT.fullmatch(text):
        return "not a time that can be read: it is a number", _ISO
    return "not a time that can be read", _ISO


def _as_number(values: pa.Array) -> pa.Array:
    return values.cast(pa.float64(), safe=pt.is_string(values.type))


def _first_failure(check: Callable[[pa.Array], pa.Array], values: pa.Array) -> int:
    """Find by bisection the first value on which `check` raises, as it does on `values`."""
    low = 0
    high = len(values)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            check(values.slice(low, middle - low))
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low
