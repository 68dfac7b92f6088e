"""Tells what noise a plan has, and why: for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from xstat_ray.model.study import Study
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.noise_choice import Candidate, choose_noise
from xstat_ray.privacy.rounding import readable


def rows(study: Study) -> list[tuple[str, str]]:
    """Describe the choice between both noises, in pairs of what and why; empty if there is none."""
    return [("Noise", choose_noise(study).reason)] if study.privacy.noise == "auto" else []


def as_dict(
    study: Study, design: Design, delta: Fraction, stderrs: Mapping[str, float]
) -> dict[str, Any]:
    """Give the noise of a plan as JSON.

    Args:
        study: what is counted.
        design: what is measured.
        delta: what the release is debited with.
        stderrs: predicted standard error by name of the reporting level.
    """
    mechanism = design.budget
    return {
        "mechanism": design.kind,
        "why": design.reason,
        "noise": mechanism.noise,
        **_both(study),
        "epsilon": str(mechanism.epsilon),
        "delta": str(delta),
        "l1_sensitivity": mechanism.l1,
        "l2_sensitivity_squared": mechanism.l2_squared,
        "measured": [
            {
                "level": measured.name,
                "nodes": measured.nodes,
                "nodes_shown": measured.shown,
                "share": str(measured.share),
                "noise_scale": measured.mechanism.scale,
            }
            for measured in design.levels
        ],
        "stderr": {name: round(error, 4) for name, error in stderrs.items()},
    }


def _both(study: Study) -> dict[str, Any]:
    """Both noises side by side, where the study leaves the choice open."""
    if study.privacy.noise != "auto":
        return {}
    choice = choose_noise(study)
    return {
        "noise_why": choice.reason,
        "noises": {noise: _candidate(made) for noise, made in choice.candidates.items()},
    }


def _candidate(made: Candidate) -> dict[str, Any]:
    return {
        "stderr": {name: round(error, 4) for name, error in made.stderrs.items()},
        "epsilon_of_all_releases": None if made.total is None else readable(made.total),
        "lasts": made.lasts,
    }
