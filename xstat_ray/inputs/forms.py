"""Forms of texts: what was dropped is shown to its owner by its form, and never by its value.

In a form every digit is a 9, every capital an A and every other letter an a; the rest is as it was,
so that `9.01111E+09` is `9.99999A+99`. A form goes to the party's terminal and record alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

SHOWN = 3
"""Most forms of a kind that are shown."""
_LONGEST = 40
"""Characters of a form; longer ones are cut."""
_REMEMBERED = 256
"""Forms that are remembered at least, the commonest."""
_HIDDEN = ("C", "Z", "M")
"""First letters of the Unicode categories that are written as code points: whoever looks at a form
has to see what is in it, and none of it may move the cursor of a terminal."""
_CUT = "..."


def forms_of(texts: pa.Array) -> pa.Array:
    """(N,) forms of N texts; the form of null is the empty text."""
    texts = pc.utf8_slice_codeunits(texts.fill_null(""), 0, _LONGEST + 1)
    _, ends, data = texts.buffers()
    characters = np.frombuffer(data or b"", np.uint8)
    if (characters < _PLAIN).all():
        forms = pa.py_buffer(_FORMS[characters])
        return pa.StringArray.from_buffers(len(texts), ends, forms, offset=texts.offset)
    texts = pc.replace_substring_regex(texts, r"\pN", "9")
    texts = pc.replace_substring_regex(texts, r"[\p{Lu}\p{Lt}]", "A")
    return pc.replace_substring_regex(texts, r"[\p{Ll}\p{Lm}\p{Lo}]", "a")


_PLAIN = 128
"""Number of characters of ASCII."""
_FORMS = np.frombuffer(
    re.sub(rb"[a-z]", b"a", re.sub(rb"[A-Z]", b"A", re.sub(rb"[0-9]", b"9", bytes(range(_PLAIN))))),
    np.uint8,
)
"""What stands for each of them in a form."""


class FormCounts:
    """Counts forms.

    Of many different ones the commonest are remembered, with about the number of their rows.
    """

    def __init__(self, counted: Iterable[tuple[str, int]] = ()) -> None:
        self._counts = Counter(dict(counted))

    def add(self, texts: pa.Array, number: NDArray[np.int64]) -> None:
        """Take (V,) texts, or null, and (V,) how often each occurs."""
        if not len(texts):
            return
        coded = forms_of(texts).dictionary_encode()
        codes = coded.indices.to_numpy(zero_copy_only=False)
        total = np.bincount(codes, number).astype(np.int64)
        self.count(zip(coded.dictionary.to_pylist(), total.tolist(), strict=True))

    def count(self, counted: Iterable[tuple[str, int]]) -> None:
        """Take forms, and how often each occurs."""
        for form, times in counted:
            self._counts[form] += times
        if len(self._counts) > 2 * _REMEMBERED:
            self._counts = Counter(dict(self._counts.most_common(_REMEMBERED)))

    def counted(self) -> list[tuple[str, int]]:
        """List all forms that are remembered, and how often each occurs."""
        return list(self._counts.items())

    def commonest(self) -> list[tuple[str, int]]:
        """List the commonest forms, and how often each occurs."""
        return self._counts.most_common(SHOWN)


def visible(form: str) -> str:
    """Write a form so that all of it is seen, code points in place of what is not."""
    shown = "".join(
        char
        if char == " " or unicodedata.category(char)[0] not in _HIDDEN
        else char.encode("unicode_escape").decode()
        for char in form[:_LONGEST]
    )
    return (shown or "(empty)") + (_CUT if len(form) > _LONGEST else "")
