"""Tasks that fail by schedule, on whichever node they run."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstat_ray.runtime.ray_executor import RayExecutor


@dataclass
class Failing:
    """A task that fails the first `times` times that it runs, on whichever node."""

    function: Any
    folder: Path
    times: int
    how: str

    def __call__(self, *args: Any) -> Any:
        for attempt in range(self.times):
            try:
                (self.folder / str(attempt)).touch(exist_ok=False)
            except FileExistsError:
                continue
            if self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(28, "No space left on device")
        return self.function(*args)


class Unreliable(RayExecutor):
    """An executor of which chosen tasks fail.

    `schedule` tells by name, and number of tasks of that name before, how often and how.
    """

    def __init__(
        self, *args: Any, folder: Path, schedule: dict[tuple[str, int], tuple[int, str]]
    ) -> None:
        super().__init__(*args)
        self.folder = folder
        self.schedule = schedule
        self.seen = Counter()

    def submit(self, function: Any, *args: Any) -> Any:
        key = (function.__name__, self.seen[function.__name__])
        self.seen[function.__name__] += 1
        if key in self.schedule:
            folder = self.folder / f"{key[0]}{key[1]}"
            folder.mkdir()
            function = Failing(function, folder, *self.schedule[key])
        return super().submit(function, *args)
