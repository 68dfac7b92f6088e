"""End a program: report errors, choose the exit code, stay quiet where nobody reads on."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from typing import NoReturn

from rich.console import Console

from xstat_ray.errors import XstatError

BAD_INPUT = 2
INTERRUPTED = 130
UNEXPECTED = 1
_INTERRUPTED = (
    "Interrupted. The same command resumes an unfinished release, without spending budget again."
)


def exit_with(action: Callable[[], int]) -> NoReturn:
    """Exit with the code that `action` returns, or with that of the error that it raises.

    Where the reader of standard output has gone, as `head` does, the program ends without a word.
    """
    code = exit_code(action)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = code or UNEXPECTED
    if _reader_has_gone():
        # Python flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def exit_code(action: Callable[[], int]) -> int:
    """Return the code of `action`, or the exit code of what it raises, which is reported."""
    try:
        return action()
    except XstatError as error:
        report(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _console().print(_INTERRUPTED)
        return INTERRUPTED
    except Exception as error:
        if not (isinstance(error, BrokenPipeError) and _reader_has_gone()):
            _console().print_exception()
        return UNEXPECTED


def report(message: str) -> None:
    """Print on standard error what went wrong."""
    _console().print(f"Error: {message}", style="bold red")


def _console() -> Console:
    return Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


def _reader_has_gone() -> bool:
    """Whether standard output is a pipe that nobody reads."""
    try:
        output = sys.stdout.fileno()
    except (AttributeError, OSError):
        return False
    poll = select.poll()
    poll.register(output, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
