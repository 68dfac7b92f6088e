"""Spellings of one text that tools and people make of it, and what they leave in its place.

Spreadsheets and data frames write the whole number 123 as `123.0` or `1.23E+02`, programs that copy
text leave characters in it that nobody sees, and exports write a word where there was nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

NULL_WORDS = (
    "nan", "nat", "none", "null", "na", "n/a", "<na>", "#n/a", "\\n", "(null)", "nil", "undefined",
    "#null!", "#value!", "#ref!", "#name?", "#num!", "#div/0!",
)  # fmt: skip
"""What is written in lower case where there is nobody's id, by data frames (`nan`, `<na>`),
databases (`null`, `\\n`) and spreadsheets (`#n/a`)."""
VALUE_NULL_WORDS = (
    "nan", "NaN", "NaT", "null", "NULL", "None", "<NA>", "N/A", "#N/A", "\\N",
    "#NULL!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#DIV/0!",
)  # fmt: skip
"""Words for a missing value of a dimension. `NA` is none of them: it is a country, too."""

_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""The default ignorable code points of Unicode (DerivedCoreProperties): soft hyphen, zero width,
direction and byte-order marks, variation selectors. NFKC_Casefold leaves them out, too."""
UNSEEN = f"[{_UNSEEN}]"
"""Regular expression for one of them."""
LOST = "\ufffd"
"""Stands for characters that a program could not read: two texts that have it may have differed."""
_UNSEEN_ONE = re.compile(UNSEEN)

POINT = r"^([+-]?[0-9]+)\.0+$"
"""A whole number as a column of floats is written."""
EXPONENT = r"^[+-]?[0-9](?:(?:\.[0-9]+)?[eE]\+[0-9]{2,3}|\.[0-9]+[eE][0-9]{1,3})$"
"""A large number as spreadsheets and data frames write it, and as Java does (`9.01E9`). Other texts
with an E are codes."""
MARKED = r"^'([0-9+][!-&(-~]*)$|^=\"([!#-~]+)\"$"
"""What spreadsheets put around text that looks like a number: `'0123` and `="0123"`."""
_LONG = r"^[+-]?[0-9]{16,}\.0+$"
_EXPONENT = re.compile(r"([+-]?)([0-9])(?:\.([0-9]+))?[eE]\+?([0-9]{1,3})")
_EXACT = 1 << 53
"""Below this number, floats tell whole numbers apart."""
_TRUTH = (("true", "^(?i:true)$"), ("false", "^(?i:false)$"))
_SUSPECT = r"[^!-~]|\.0+$|[0-9][eE]\+?[0-9]{1,3}$|^['=]|^(?i:true|false)$"


def fold(values: pa.Array, case: Callable[[str], str] = str) -> pa.Array:
    """Bring texts to NFKC, leave out what nobody sees, strip them, and apply `case`.

    All of it is done until nothing changes, as each can undo another.

    Args:
        values: (N,) text; may hold nulls.
        case: `str`, `str.lower` or `str.casefold`.
    """
    # Printable ASCII is its own NFKC, and there lower case is all that case folding does.
    plain = pc.match_substring_regex(values, "^[ -~]*$")
    trimmed = pc.ascii_trim(values.cast(pa.string()), " ")
    quick = trimmed if case is str else pc.ascii_lower(trimmed)
    rest = values.filter(pc.invert(plain)).to_pylist()
    if not rest:
        return quick
    slow = pa.array([fold_one(value, case) for value in rest], pa.string())
    return pc.replace_with_mask(quick, pc.invert(plain).fill_null(False), slow)


def fold_one(text: str, case: Callable[[str], str] = str) -> str:
    """Do with one text what `fold` does with many."""
    while (
        folded := case(_UNSEEN_ONE.sub("", unicodedata.normalize("NFKC", text))).strip()
    ) != text:
        text = folded
    return text


def whole_numbers(texts: pa.Array, exponent: str = EXPONENT) -> pa.Array:
    """Write whole numbers by their digits, where a float was written.

    Args:
        texts: (N,) text; may hold nulls.
        exponent: regular expression for numbers with an exponent.

    Returns:
        (N,) text: `123` for `123.0` and `1.23E+02`; null for `1.2E+03`, which may have been any of
        a hundred numbers before it was rounded, and for what floats do not tell apart, from 2^53
        on; other texts as they are.
    """
    large = pc.match_substring_regex(texts, f"{exponent}|{_LONG}").fill_null(False)
    plain = pc.replace_substring_regex(texts, POINT, r"\1")
    if not pc.any(large).as_py():
        return plain
    digits = [_digits(text) for text in texts.filter(large).to_pylist()]
    return pc.replace_with_mask(plain, large, pa.array(digits, pa.string()))


def _digits(text: str) -> str | None:
    """Digits of a float; None unless the text has them all, and the float had."""
    parts = _EXPONENT.fullmatch(text)
    if parts is None:
        whole = text.partition(".")[0]
    else:
        sign, first, rest, power = parts.groups("")
        digits = first + rest
        size = 1 + int(power)
        if len(digits) < size or digits[size:].strip("0"):
            return None
        whole = sign + digits[:size]
    return whole if abs(int(whole)) < _EXACT else None


def unmarked(texts: pa.Array) -> pa.Array:
    """Take off what spreadsheets put around text that looks like a number."""
    texts = pc.replace_substring_regex(texts, r'^="([!#-~]+)"$', r"\1")
    return pc.replace_substring_regex(texts, r"^'([0-9+][!-&(-~]*)$", r"\1")


def seen(text: str) -> str:
    """What a reader sees of a text."""
    return text.strip() if text.isascii() else _UNSEEN_ONE.sub("", text).strip()


def tidy(texts: pa.Array) -> pa.Array:
    """Spell texts as people mean them.

    They are without what nobody sees and without the marks of spreadsheets, whole numbers are their
    digits, and truth values are small.

    Returns:
        (N,) text; null for a number that has lost digits.
    """
    texts = whole_numbers(unmarked(fold(texts)))
    for word, spelled in _TRUTH:
        texts = pc.replace_substring_regex(texts, spelled, word)
    return texts


def is_suspect(texts: pa.Array) -> pa.Array:
    """(N,) whether `tidy` can change a text; false for null."""
    return pc.match_substring_regex(texts, _SUSPECT).fill_null(False)
