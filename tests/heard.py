"""A progress that keeps what a run tells, for tests to read."""

from __future__ import annotations

from xstat_ray.runtime.progress import Progress


class Heard(Progress):
    """Keeps the notes and the warnings of a run."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)
