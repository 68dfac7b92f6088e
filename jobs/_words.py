"""What the jobs share that take plain words instead of a composed configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable

from xstat_ray.errors import InputError, XstatError


def run(text: str, main: Callable[..., None]) -> None:
    """Call `main` with the words of the command line, and exit: 0 done, otherwise the exit code of the error.

    Without words, or asked for help, print `text`.
    """
    words = sys.argv[1:]
    if not words or {"-h", "--help"} & set(words):
        print(text)
        sys.exit(0 if words else InputError.exit_code)
    try:
        main(*words)
    except XstatError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
