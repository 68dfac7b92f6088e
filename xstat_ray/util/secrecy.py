"""Secrets that refuse to travel.

Ray moves arguments by pickle, logs move by `repr`, and both happen without anyone asking. A class
that holds a secret therefore derives from `Secret`: it cannot be pickled or copied, and it prints
redacted. Where a secret must leave a process, a method with a name that says so (`export_...`)
returns bytes.
"""

from __future__ import annotations

import re
from typing import NoReturn

_PASSWORDS = re.compile(r"(://[^\s:@/]*:)[^\n]*(?=@)|(password=)[^\s&'\"]+", re.IGNORECASE)


class Secret:
    """Base class of all that holds a key, a scalar, a salt or plain data of a party."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            f"{type(self).__name__} holds a secret and refuses to travel; use its named export"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} redacted>"

    __str__ = __repr__


def without_passwords(text: str) -> str:
    """Return a text with `***` for the passwords of addresses in it (RFC 3986, section 3.2.1)."""
    return _PASSWORDS.sub(lambda match: f"{match[1] or match[2]}***", text)
