"""The manifest of a release: how it came about, in public figures alone."""

from __future__ import annotations

from math import ceil
from typing import Any

from xstat_ray.planning import measure_view, one_person, pool_view
from xstat_ray.planning.options import NOISE_OFF
from xstat_ray.planning.plan import Plan
from xstat_ray.publication.smooth import METHOD, TUNING
from xstat_ray.util.software_digest import software_digest, software_version


def make_manifest(
    plan: Plan,
    release: str,
    inputs: dict[str, str],
    kernels: dict[str, str],
    seconds: dict[str, float],
) -> dict[str, Any]:
    """Make the manifest of a release, in the form of manifest.json.

    Args:
        plan: the plan of the release.
        release: the release's number, in hex.
        inputs: keyed digest of each party's table, in hex.
        kernels: name of the kernel in each process that did arithmetic, by role.
        seconds: duration of each stage, by its name.
    """
    study = plan.study
    mechanism = plan.mechanism
    off = mechanism.noise == "off"
    return {
        "release": release,
        "study": study.name,
        "study_digest": study.digest.hex(),
        "software": {"version": software_version(), "measurement": software_digest().hex()},
        "inputs_hmac_sha256": inputs,
        "datasets": {terms.name: terms.dataset for terms in study.parties},
        "bounds": {**one_person.bounds(study), "window_periods": study.window_periods},
        "mechanism": _mechanism(plan),
        **_measures(plan),
        "spent": {
            "epsilon": "0" if off else str(mechanism.epsilon),
            "delta": "0" if off else str(plan.delta),
            **({"rho": str(mechanism.rho)} if mechanism.rho else {}),
        },
        **({"smoothed": {"method": METHOD, **TUNING._asdict()}} if study.privacy.smooth else {}),
        "insiders": plan.insiders.as_dict(),
        "view": pool_view.as_dict(study, plan.padding),
        "noise_free": off,
        **({"warning": NOISE_OFF} if off else {}),
        "key_bits": plan.key_bits,
        "kernels": kernels,
        "constant_time": plan.constant_time,
        "shards": len(plan.grid.shards),
        "seconds": shown_seconds(plan, seconds),
    }


def _measures(plan: Plan) -> dict[str, Any]:
    """Give bounds and noise of each measure, and the split; nothing where there are none."""
    if not plan.study.column.measures:
        return {}
    return {
        "split": {quantity.name: str(quantity.share) for quantity in plan.design.quantities},
        "measures": [
            {
                **measure_view.bounds(measure),
                "scales": {level.name: level.sums[place].scale for level in plan.design.levels},
            }
            for place, measure in enumerate(plan.study.column.measures)
        ],
    }


def _mechanism(plan: Plan) -> dict[str, Any]:
    levels = {
        measured.name: {"share": str(measured.share), "scale": measured.mechanism.scale}
        for measured in plan.design.levels
    }
    return {"name": plan.design.kind, "noise": plan.mechanism.noise, "levels": levels}


def shown_seconds(plan: Plan, seconds: dict[str, float]) -> dict[str, float]:
    """Durations as they may be shown: whole minutes, one at least, where the plan hides sizes."""
    if plan.padding is None:
        return dict(seconds)
    return {name: 60 * max(1, ceil(duration / 60)) for name, duration in seconds.items()}
