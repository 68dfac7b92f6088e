"""The block `privacy` of a study, as people write it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import cast

from xstat_ray.inputs.section import Section
from xstat_ray.inputs.study_measures import read_split
from xstat_ray.model.study import (
    Insiders,
    MechanismChoice,
    NoiseChoice,
    PaddingMode,
    Privacy,
    PublishRule,
    View,
)

PRIVACY_FIELDS = (
    "noise", "mechanism", "report", "epsilon", "delta", "suppress_below", "smooth", "publish",
    "cap", "releases", "padding", "view", "insiders", "checked", "split",
)  # fmt: skip
_OF_CROSSTABS = ("insiders", "checked", "smooth", "releases", "split")
"""Those that have a meaning for the cross-tab of two parties only."""


def read_privacy(top: Section, levels: Sequence[str], *, joint: bool = True) -> Privacy:
    """Read the block `privacy`; the defaults where it is absent.

    Args:
        top: the whole configuration.
        levels: names of the levels of the row tree, which `report` chooses from.
        joint: whether several roles draw the noise together; else one does, and Laplace noise has
            no delta.

    Raises:
        StudyError: a value that protects nobody, or an item of `report` that is not a level.
    """
    defaults = Privacy() if joint else Privacy(delta=Fraction(0))
    if top.get("privacy") is None:
        return defaults
    known = tuple(f for f in PRIVACY_FIELDS if joint or f not in _OF_CROSSTABS)
    node = top.child("privacy", known)
    noises = ("laplace", "gaussian", "auto", "off")
    noise = _switch(node, "noise", [n for n in noises if joint or n != "auto"], defaults.noise)
    mechanism = node.choice("mechanism", ("flat", "tree", "auto"), defaults.mechanism)
    padding = _switch(node, "padding", ("off", "dp"), defaults.padding)
    privacy = Privacy(
        noise=cast(NoiseChoice, noise),
        mechanism=cast(MechanismChoice, mechanism),
        report=_report(node, levels),
        epsilon=node.fraction("epsilon", defaults.epsilon),
        delta=node.fraction("delta", defaults.delta),
        insiders=cast(Insiders, node.choice("insiders", ("full", "shared"), defaults.insiders)),
        checked=node.whole("checked", defaults.checked, least=1),
        suppress_below=node.whole("suppress_below", defaults.suppress_below, least=0),
        smooth=node.flag("smooth", defaults.smooth),
        publish=cast(PublishRule, node.choice("publish", ("distinct", "all"), defaults.publish)),
        cap=node.fraction("cap", defaults.cap),
        releases=node.whole("releases", defaults.releases, least=1),
        padding=cast(PaddingMode, padding),
        view=_view(node),
        split=read_split(node),
    )
    _check_budget(node, privacy)
    if joint:
        _check_insiders(node, privacy)
    elif privacy.noise == "laplace" and privacy.delta:
        remedy = "Set it to 0, or choose gaussian noise"
        raise node.error("laplace noise needs no delta", "delta", remedy=remedy)
    return privacy


def _check_budget(node: Section, privacy: Privacy) -> None:
    """Refuse epsilons, deltas and caps that contradict the noise or each other."""
    noise = privacy.noise
    epsilon = privacy.epsilon
    delta = privacy.delta
    if epsilon <= 0:
        raise node.error("epsilon is not positive", "epsilon")
    if not 0 <= delta < 1:
        raise node.error("delta is not at least 0 and below 1", "delta")
    if noise in ("gaussian", "auto") and delta == 0:
        raise node.error(
            f"{noise} noise needs a positive delta", "delta", remedy="Set one well below 1/persons"
        )
    if privacy.cap < epsilon:
        raise node.error(
            "cap is below epsilon", "cap", remedy="One release would already overspend it"
        )
    if privacy.padding == "dp" and privacy.cap < privacy.view.epsilon:
        raise node.error(
            "cap is below the view's epsilon",
            "cap",
            remedy="One run would already show the pool too much",
        )


def _check_insiders(node: Section, privacy: Privacy) -> None:
    """Refuse what has a meaning for the other kind of noise only."""
    if privacy.insiders == "shared" and privacy.noise == "laplace":
        remedy = "Leave it out, or choose gaussian noise"
        raise node.error("every role faces all of laplace noise", "insiders", remedy=remedy)
    if privacy.checked > 1 and privacy.noise == "gaussian":
        remedy = "Leave it out, or choose laplace noise"
        raise node.error("the shares of gaussian noise cannot be checked", "checked", remedy=remedy)


def _switch(node: Section, name: str, options: Sequence[str], default: str) -> str:
    """Read a choice with the option `off`, which YAML 1.1 reads as false where it is not quoted."""
    return "off" if node.get(name) is False else node.choice(name, options, default)


def _view(privacy: Section) -> View:
    if privacy.get("view") is None:
        return View()
    node = privacy.child("view", ("epsilon", "delta"))
    defaults = View()
    epsilon = node.fraction("epsilon", defaults.epsilon)
    delta = node.fraction("delta", defaults.delta)
    if epsilon <= 0:
        raise node.error("epsilon is not positive", "epsilon")
    if not 0 < delta < 1:
        remedy = (
            "Dummies cannot be fewer than none, which costs a little: set it well below 1/persons"
        )
        raise node.error("delta is not between 0 and 1", "delta", remedy=remedy)
    return View(epsilon, delta)


def _report(node: Section, levels: Sequence[str]) -> tuple[str, ...]:
    if node.get("report") is None:
        return ()
    report = tuple(str(item) for item in node.items("report"))
    for i, name in enumerate(report):
        if name not in levels or name in report[:i]:
            remedy = f"The levels of the row tree are {', '.join(levels)}, each at most once"
            raise node.error(f"{name!r} is not a level", f"report[{i}]", remedy=remedy)
    return report
