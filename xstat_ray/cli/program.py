"""End a program: report errors, choose the exit code, stay quiet where nobody reads on."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TextIO

from rich.console import Console

from xstat_ray.errors import ClusterError, XstatError
from xstat_ray.util.files import refused_by_system
from xstat_ray.util.secrecy import without_passwords

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

BAD_INPUT = 2
INTERRUPTED = 130
UNEXPECTED = 1
_INTERRUPTED = (
    "Interrupted. The same command resumes an unfinished release, without spending budget again."
)

_NO_MEMORY = (
    "this machine's memory is full. Use a shorter batch=, fewer shards in flight (window), or a "
    "machine with more memory; the same command starts over, or finishes a release"
)


def exit_with(action: Callable[[], int]) -> NoReturn:
    """Exit with the code that `action` returns, or with that of the error that it raises.

    Where the reader of standard output goes away, as `head` does, the action goes on to its end
    and the exit code stays that of the action.
    """
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = _as_long_as_read(sys.stdout)
    sys.exit(exit_code(lambda: _flushed(action)))


def _flushed(action: Callable[[], int]) -> int:
    """Return the code of `action` once all that it printed is written."""
    code = action()
    if sys.stdout is not None:
        sys.stdout.flush()
    return code


def exit_code(action: Callable[[], int]) -> int:
    """Return the code of `action`, or the exit code of what it raises, which is reported."""
    try:
        return action()
    except KeyboardInterrupt:
        _console().print(_INTERRUPTED)
        return INTERRUPTED
    except Exception as error:
        known = _foreseen(error)
        if known is None:
            _console().print_exception()
            return UNEXPECTED
        report(str(known))
        return known.exit_code


def _foreseen(error: Exception) -> XstatError | None:
    """Return an error that says what to do; None for one that nobody has thought of."""
    if isinstance(error, XstatError):
        return error
    if isinstance(error, MemoryError):
        return ClusterError(_NO_MEMORY)
    return refused_by_system(error) if isinstance(error, OSError) else None


def report(message: str) -> None:
    """Print on standard error what went wrong, without passwords that were typed into addresses."""
    _console().print(f"Error: {without_passwords(message)}", style="bold red")


def tell(message: str) -> None:
    """Print a line on standard error."""
    _console().print(without_passwords(message))


def _console() -> Console:
    return Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


class _Output(io.FileIO):
    """A file descriptor that becomes /dev/null once it cannot be written to.

    Python writes what is left once more when it ends, which must not fail again.
    """

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes; that nobody reads them is no error."""
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if not isinstance(error, BrokenPipeError):
                raise
            return super().write(data)


def _as_long_as_read(stream: io.TextIOWrapper) -> TextIO:
    """Write to the descriptor of a stream, without an error once nobody reads."""
    stream.flush()
    output = _Output(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        output if stream.write_through else io.BufferedWriter(output),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
