"""Make a report with one call: folders of finished jobs in, one page and its files out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.panel import Panel

from xstat_ray.errors import InputError
from xstat_ray.hokkaido.report.answers import Answers, is_answers, read_answers
from xstat_ray.hokkaido.report.data import KEY, Layer, read_layers
from xstat_ray.hokkaido.report.document import document
from xstat_ray.hokkaido.report.figures import drawings
from xstat_ray.hokkaido.report.geofiles import area_files, layer_files
from xstat_ray.hokkaido.report.page import page
from xstat_ray.planning.options import NOISE_OFF
from xstat_ray.util.files import write_folder
from xstat_ray.util.plotting import figure_files

PAGE = "report.html"


@dataclass(frozen=True)
class Sources:
    """Releases and answers that a report is made of."""

    layers: tuple[Layer, ...]
    answers: Answers | None

    @property
    def noise_free(self) -> bool:
        """Whether any source holds exact counts, and the report with it."""
        return any(layer.noise_free for layer in self.layers) or (
            self.answers is not None and self.answers.noise_free
        )


def read(folders: Sequence[Path]) -> Sources:
    """Read the output folders of `xstat-ray crosstab` and `xstat-ray needs`.

    Raises:
        InputError: a folder holds neither, or is not finished; or two folders hold one study.
    """
    answers = [folder for folder in folders if is_answers(folder)]
    if len(answers) > 1:
        problem = "a report shows one answer of xstat-ray needs, and this is the second"
        raise InputError(problem, file=str(answers[1]), key=KEY, remedy="Make one report for each")
    layers = tuple(
        layer for folder in folders if folder not in answers for layer in read_layers(folder)
    )
    seen: dict[str, Path] = {}
    for layer in layers:
        if layer.study in seen:
            problem = f"{seen[layer.study]} holds the same study, {layer.study}"
            raise InputError(
                problem, file=str(layer.folder), key=KEY, remedy="Make one report for each"
            )
        seen[layer.study] = layer.folder
    return Sources(layers, read_answers(answers[0]) if answers else None)


def write(
    sources: Sources, folder: Path, *, language: str, geofiles: bool, figures: bool
) -> list[Path]:
    """Write the page and, where wanted, the files for other tools and the figures.

    Equal sources give equal files, byte for byte.

    Returns:
        Paths of the files, the page first.

    Raises:
        InputError: the disk is full or the folder cannot be written to.
    """
    files = {PAGE: page(document(sources.layers, sources.answers, language))}
    if geofiles:
        for layer in sources.layers:
            files |= layer_files(layer)
        if sources.answers is not None:
            files |= area_files(
                "needs", sources.answers.tables["needs"], sources.answers.noise_free
            )
    if figures:
        files |= _figures(sources)
    return write_folder(folder, files)


def _figures(sources: Sources) -> dict[str, bytes]:
    """Draw the figures; without matplotlib print a note instead."""
    try:
        return figure_files(drawings(sources.layers, sources.answers))
    except ImportError:
        Console(stderr=True).print(
            "matplotlib is not installed: no figures are drawn. Install it, or set figures=false."
        )
        return {}


def warn(sources: Sources) -> None:
    """Print a red warning on standard error if any source was published without noise."""
    if sources.noise_free:
        Console(stderr=True, markup=False, highlight=False).print(
            Panel(NOISE_OFF, title="WARNING", style="bold red")
        )
