"""A collaboration as people read it before they approve it, in English and Japanese."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from xstat_ray.federation.collaboration import ROW, Collaboration
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.lessons import Language

_WORDS: Mapping[str, tuple[str, str]] = {
    "run": ("Run", "実行"),
    "digest": ("Digest", "ダイジェスト"),
    "study": ("Study", "調査"),
    "counts": ("Counts", "集計"),
    "period": ("Period", "期間"),
    "measures": ("Sums and means", "合計と平均"),
    "bounds": ("Bounds", "一人と人数の上限"),
    "privacy": ("Privacy", "保護"),
    "domains": ("Domains", "参加者"),
    "budgets": ("Budgets", "予算"),
    "learns": ("What each will learn", "それぞれが知ること"),
    "approved": ("Approved by", "承認済み"),
    "nobody": ("nobody yet", "まだなし"),
    "key": ("key", "鍵"),
    "dataset": ("data set", "データセット"),
    "cap": ("cap", "上限"),
    "release": ("this release", "今回の公表"),
    "view": ("the aggregator's view", "集計者が見るもの"),
    "public": ("public", "一般"),
    "row": ("row party", "行側の当事者"),
    "column": ("column party", "列側の当事者（鍵を持つ）"),
    "aggregator": ("aggregator", "集計者"),
    "exchange": ("exchange's readers", "交換場所を読める者"),
    "two_together": ("two together", "二者の結託"),
}


def page(collaboration: Collaboration, approved: Sequence[Domain], language: Language) -> str:
    """Write all that a collaboration says, the domains that have approved it, and its digest."""
    return "\n".join(_lines(collaboration, approved, language))


def _lines(
    collaboration: Collaboration, approved: Sequence[Domain], language: Language
) -> Iterator[str]:
    content = collaboration.content
    study = content["study"]

    def say(word: str) -> str:
        return _WORDS[word][language == "ja"]

    def called(name: str) -> str:
        """Name a domain or a reader: of several parties of a side each by its name in the study."""
        if name in _WORDS:
            return say(name)
        role = "row" if content["domains"][name]["role"] == ROW else "column"
        return f"{say(role)} {name}"

    title = study["title"].get(language) or study["title"].get("en", "")
    yield f"{say('run')}: {content['run']}"
    yield f"{say('study')}: {study['name']}{f' - {title}' if title else ''}"
    yield f"  {say('digest')}: {study['digest']}"
    yield f"{say('counts')}: {_sizes(study['rows'])} x {_sizes(study['columns'])}"
    if study["period"]:
        yield f"{say('period')}: {study['period']['grain']}, {_span(study['period'])}"
    if study["measures"]:
        yield f"{say('measures')}: {_named(study['measures'])}"
    yield f"{say('bounds')}: {_named(study['bounds'])}"
    yield f"{say('privacy')}: {_named(content['privacy'])}"
    yield f"{say('domains')}:"
    for name, domain in content["domains"].items():
        dataset = f"{say('dataset')} {domain['dataset']}, " if "dataset" in domain else ""
        yield f"  {called(name)}: {dataset}{say('key')} {domain['key']}"
    yield f"{say('budgets')}:"
    for domain in content["domains"].values():
        if "budget" in domain:
            yield f"  {domain['dataset']}: {_budget(domain['budget'], language)}"
    yield f"{say('learns')}:"
    for learner, words in content["learns"].items():
        yield f"  {called(learner)}:"
        yield from (f"    - {sentence}" for sentence in words[language])
    yield f"{say('approved')}: {', '.join(map(called, approved)) or say('nobody')}"
    yield f"{say('digest')}: {collaboration.digest}"


def _budget(budget: Mapping[str, Any], language: Language) -> str:
    parts = [f"{_WORDS['cap'][language == 'ja']} epsilon {budget['cap']}"]
    for part in ("release", "view"):
        if budget[part] is not None:
            parts.append(f"{_WORDS[part][language == 'ja']} {_spent(budget[part])}")
    return "; ".join(parts)


def _spent(amounts: Mapping[str, str]) -> str:
    """Write what is spent, small fractions in digits, without what is nothing."""
    epsilon, *others = amounts.items()
    told = {name: f"{float(Fraction(value)):.3g}" for name, value in others if value != "0"}
    return _named(dict([epsilon]) | told)


def _named(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _sizes(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({size:,})" for name, size in sizes.items())


def _span(period: Mapping[str, str]) -> str:
    return f"{period['start']} - {period['end']}"
