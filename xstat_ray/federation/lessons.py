"""What a run teaches each role, in words, from its plan; docs/security.md has the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from xstat_ray.federation.identity import Domain
from xstat_ray.federation.roster import columns_of, domains_of, rows_of
from xstat_ray.planning.insiders import Guarantee
from xstat_ray.planning.plan import Plan
from xstat_ray.privacy.rounding import readable

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
Learner = str
"""Who learns: `public`, whoever reads the published table; a domain; or `exchange`, whoever can
read the exchange."""
Words = Mapping[Language, list[str]]
"""Sentences by language, the same in each."""

_EXACT = (
    "NOISE IS OFF: the exact figures, which may tell of single persons",
    "ノイズなし：正確な集計値。個人について分かることがあります",
)
_Pairs = tuple[tuple[str, str], ...]
_LEARNT: Mapping[Learner, _Pairs] = {
    "public": (
        (
            "the published table: noisy figures, without those that are small or uncertain",
            "公表された表：ノイズ付きの集計値。小さい値と不確かな値を除く",
        ),
    ),
    "row": (
        (
            "the noisy figures, those that are withheld too",
            "ノイズ付きの集計値（非公表の分を含む）",
        ),
        (
            "how many persons the column party has, rounded up by a sixteenth at most",
            "列側の当事者の表の人数（多くて十六分の一の切り上げ）",
        ),
        ("how many messages the others sent", "ほかの者が送ったメッセージの数"),
        (
            "not: who is in the other table, nor what it says of anybody",
            "知り得ないこと：相手の表にだれがいるか、相手の表が人について何を述べているか",
        ),
    ),
    "column": (
        (
            "the noisy figures, those that are withheld too, of cells without names, which the "
            "published table names",
            "ノイズ付きの集計値（非公表の分を含む）。場所の名前は公表された表で分かります",
        ),
        (
            "how many persons the row party has, rounded up by a sixteenth at most",
            "行側の当事者の表の人数（多くて十六分の一の切り上げ）",
        ),
        (
            "not: who is in the other table, nor what it says of anybody",
            "知り得ないこと：相手の表にだれがいるか、相手の表が人について何を述べているか",
        ),
    ),
    "exchange": (
        (
            "when messages were written, and their sizes: of tables as much as the aggregator, "
            "and roughly how many persons each party has",
            "メッセージが書かれた時刻と大きさ：表については集計者と同じ程度、および各社のおよその人数",
        ),
        (
            "this file, the public key of the study, and the noisy table's ciphertexts",
            "この文書、調査の公開鍵、ノイズ付きの表の暗号文",
        ),
    ),
}
_VIEW = {
    "off": (
        "exactly how many rows and flags there are in each batch, and how many rows of each "
        "unnamed cell matched: PADDING IS OFF",
        "各バッチの行とフラグの正確な数、名前のない各セルで一致した行の正確な数：パディングなし",
    ),
    "dp": (
        "how many rows and flags there are in each batch, and how many rows of each unnamed cell "
        "matched, hidden by dummies: of one person no more than epsilon {epsilon}, delta {delta}",
        "各バッチの行とフラグの数、名前のない各セルで一致した行の数。ダミーで隠され、一人について "
        "epsilon {epsilon}, delta {delta} まで",
    ),
}
_SEVERAL: Mapping[Learner, _Pairs] = {
    "row": (
        (
            "not: what a single column party counts; it is sent the sum over all of them",
            "知り得ないこと：列側の当事者一社ごとの集計値。受け取るのは全社の合計のみです",
        ),
    ),
    "first": (
        (
            "numbers that all other column parties decrypt, under the row party's masks: nothing "
            "but their sum, which is the noisy figures",
            "ほかの列側の当事者が復号した、行側の当事者のマスクがかかった数。分かるのはその合計"
            "（ノイズ付きの集計値）のみ",
        ),
    ),
    "other": (
        (
            "the masked sum that the first column party opened, once the table is published",
            "表の公表後に、最初の列側の当事者が開いたマスク付きの合計",
        ),
    ),
    "column": (
        (
            "not: who is in the table of another column party, nor what that one alone counts",
            "知り得ないこと：ほかの列側の当事者の表にだれがいるか、その一社の集計値",
        ),
    ),
    "aggregator": (
        (
            "of which column parties each row meets flags, and so which flags of two of them are "
            "of one unnamed person in one period; padding, where it is on, hides that as well",
            "各行がどの列側の当事者のフラグと一致したか。したがって、二社のフラグのうちどれが同じ"
            "（名前のない）一人の同じ期間のものか。パディングがあればこれも隠されます",
        ),
    ),
}
"""What several column parties add."""
_SEVERAL_ROWS: Mapping[Learner, _Pairs] = {
    "row": (
        (
            "not: who is in the table of another row party, nor what it says of anybody",
            "知り得ないこと：ほかの行側の当事者の表にだれがいるか、その表が人について何を述べているか",
        ),
    ),
    "other": (
        (
            "of the figures nothing but the published table; the first row party alone gets more",
            "集計値については公表された表のみ。それ以上を受け取るのは最初の行側の当事者だけです",
        ),
    ),
    "column": (
        (
            "how many persons each other row party has, rounded up alike",
            "ほかの行側の当事者それぞれの表の人数（同様の切り上げ）",
        ),
    ),
    "aggregator": (
        (
            "these numbers for each row party by itself, all in one secret order of cells, so that "
            "it can compare row parties cell by cell; not which of their rows are of one person",
            "以上の数を行側の当事者ごとに。セルの秘密の並びは共通なので、当事者同士をセルごとに"
            "比べられます。どの行が同じ人のものかは分かりません",
        ),
    ),
}
"""What several row parties add; `other` is told in place of the first sentence of `row`."""
_PLACES = {
    "off": (
        "which places are the largest, by these sizes, and those whose number of parts no other "
        "has, which the plan lists",
        "それらの大きさから最も大きな場所がどれか、および含む区域の数が他にない場所（計画に列挙されます）",
    ),
    "dp": (
        "which places are the largest, by these sizes",
        "それらの大きさから、最も大きな場所がどれか",
    ),
}
_NOT_AGGREGATOR = (
    "not: persons, attributes, other places, nor the results",
    "知り得ないこと：人、属性、それ以外の場所、結果",
)
_GUARANTEE = (
    "of one person, from all published figures together, no more than epsilon {epsilon}, "
    "delta {delta}",
    "公表された集計値全体から、一人について epsilon {epsilon}, delta {delta} まで",
)
_WITH_VIEW = (
    "of one person, from both together, no more than epsilon {epsilon}, delta {delta}",
    "以上を合わせて、一人について epsilon {epsilon}, delta {delta} まで",
)
_TOGETHER = (
    "nothing is promised towards two roles together",
    "二者が結託した場合については何も約束しません",
)


def lessons(plan: Plan) -> dict[Learner, Words]:
    """Tell what each learner will know once the release is out."""
    told: dict[Learner, Words] = {}
    columns = columns_of(plan.study)
    rows = rows_of(plan.study)
    for learner in ("public", *domains_of(plan.study), "exchange"):
        side = "column" if learner in columns else "row" if learner in rows else learner
        pairs = [*_LEARNT.get(side, ())]
        if learner == "aggregator":
            pairs = [_view(plan), _PLACES[plan.study.privacy.padding], _NOT_AGGREGATOR]
        if learner in rows[1:]:
            pairs[:1] = _SEVERAL_ROWS["other"]
        if len(rows) > 1:
            pairs += _SEVERAL_ROWS.get(side, ())
        if len(columns) > 1:
            pairs += _of_several(learner, side, columns)
        if learner != "exchange":
            pairs += _figures(plan, learner)
        if learner == "aggregator" and plan.insiders.with_view is not None:
            pairs.append(_filled(_WITH_VIEW, plan.insiders.with_view))
        told[learner] = _by_language(pairs)
    return told


def _of_several(learner: Learner, side: str, columns: Sequence[Domain]) -> list[tuple[str, str]]:
    """Tell what a learner, of a side, knows because there are several column parties."""
    if learner not in columns:
        return [*_SEVERAL.get(side, ())]
    own = "first" if learner == columns[0] else "other"
    return [*_SEVERAL[own], *_SEVERAL["column"]]


def together() -> Words:
    """Tell what is promised towards two roles that collude."""
    return _by_language([_TOGETHER])


def _view(plan: Plan) -> tuple[str, str]:
    view = plan.study.privacy.view
    return _filled(_VIEW[plan.study.privacy.padding], Guarantee(view.epsilon, view.delta))


def _figures(plan: Plan, learner: Learner) -> list[tuple[str, str]]:
    """Tell what the figures tell a learner of one person."""
    towards = plan.insiders.towards
    return [_filled(_GUARANTEE, towards[learner])] if towards else [_EXACT]


def _filled(pair: tuple[str, str], held: Guarantee) -> tuple[str, str]:
    values = {"epsilon": readable(held.epsilon), "delta": f"{float(held.delta):.3g}"}
    english, japanese = (text.format(**values) for text in pair)
    return english, japanese


def _by_language(pairs: list[tuple[str, str]]) -> dict[Language, list[str]]:
    return {"en": [english for english, _ in pairs], "ja": [japanese for _, japanese in pairs]}
