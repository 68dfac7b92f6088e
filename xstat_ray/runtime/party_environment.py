"""The body of a party's actor, which calls the party and keeps details of its errors inside."""

from __future__ import annotations

import os
import secrets
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xstat_ray.errors import PartyError, XstatError
from xstat_ray.runtime import workers
from xstat_ray.util.arrow import do_without_pandas
from xstat_ray.util.files import refused_by_system, write_whole

if TYPE_CHECKING:
    from xstat_ray.inputs.source import Source
    from xstat_ray.model.study import Study

workers.begin()


class PartyEnvironment:
    """One party in a process of its own."""

    def __init__(
        self, name: str, study: Study, source: Source, environment: Mapping[str, str]
    ) -> None:
        """Make the party.

        Args:
            name: which party it is; see `make_party`.
            study: what is counted.
            source: the party's table, and its private folder for logs.
            environment: variables that are added to those of the actor's process.
        """
        # What the party needs is imported after the worker has begun.
        from xstat_ray.runtime.executor import make_party

        do_without_pandas()
        os.environ.update(environment)
        self._name = name
        self._private = source.private
        self._party = make_party(name, study, source)

    def heartbeat(self) -> None:
        """Answer, which shows that the process is there."""

    def call(self, method: str, *args: Any) -> Any:
        """Call a method of the party.

        Raises:
            XstatError: errors of this package pass as they are, as their text is for the reader.
            PartyError: any other error; in place of its text it names the party's log.
        """
        try:
            return getattr(self._party, method)(*args)
        except XstatError:
            raise
        except Exception as error:
            refusal = refused_by_system(error) if isinstance(error, OSError) else None
            if refusal is not None:
                raise refusal from None
            kind = type(error).__name__
            place = self._log(traceback.format_exc())
        raise PartyError(
            f"the {self._name} party failed in {method} ({kind}); its own log, {place}"
        )

    def _log(self, text: str) -> str:
        """Write the details where only the party reads them; returns where that is."""
        if self._private is None:
            return "for which no folder was given, is lost"
        reference = secrets.token_hex(4)
        path = self._private / f"error-{reference}.log"
        try:
            self._private.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, text.encode(), mode=0o600)
        except OSError as error:
            return f"{path}, could not be written: {error.strerror}"
        return f"{path}, has the details"
