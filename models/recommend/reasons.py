"""The sentence a shopper reads beside a recommendation, in Chinese and English.

Belongs here: choosing and wording reasons; a sentence claims only what the data shows. Does not belong here: ranking.
"""

from __future__ import annotations

import numpy as np

from models.recommend.blend import Picks
from models.recommend.interactions import IntArray, Interactions
from models.recommend.strategy import NOBODY, look_up

LONGEST_NAME = 30
DUE_SHARE_OF_CYCLE = 0.8
"""A repeat is due from this share of the customer's own mean gap between purchases."""

FREQUENT_DAYS = 3
BESTSELLERS = 100
"""Items that may be called this week's bestsellers."""

NAMING = ("neighbour", "next_stage")
"""Reasons that name the purchase they follow from."""

REASONS = {
    "zh": {
        "due": "您常买，差不多该补货了",
        "frequent": "您经常购买",
        "again": "您之前买过",
        "neighbour": "买过「{name}」的顾客也常买",
        "neighbour_unnamed": "根据您的购买为您推荐",
        "next_stage": "用过「{name}」，宝宝可以换下一段了",
        "for_age": "适合宝宝现在的月龄",
        "alike": "口味相近的顾客也在买",
        "trending": "近期热度上升",
        "nearby": "您常去的门店有货",
        "hot": "本周热销",
        "popular": "大家都在买",
        "picked": "为您精选",
    },
    "en": {
        "due": "You buy this regularly; it may be time to restock",
        "frequent": "You often buy this",
        "again": "You have bought this before",
        "neighbour": "Customers who bought {name} also buy this",
        "neighbour_unnamed": "Based on your purchases",
        "next_stage": "The next stage after {name}",
        "for_age": "Right for your child's age",
        "alike": "Customers with tastes like yours buy this",
        "trending": "Rising in demand lately",
        "nearby": "In stock at your store",
        "hot": "Selling well this week",
        "popular": "Popular with other customers",
        "picked": "Picked for you",
    },
}


def write_reasons(
    interactions: Interactions, rows: IntArray, picks: Picks, names: list[str], language: str
) -> list[str]:
    """One sentence a pick.

    rows: row of the interactions of each pick (NOBODY without purchases). names: the blend's strategy names.
    Raises ValueError for a language without sentences.
    """
    if language not in REASONS:
        raise ValueError(f"no reasons in language {language!r}; choose one of {', '.join(REASONS)}")
    sentences = REASONS[language]
    quoted = [_short(name) for name in interactions.catalogue.name]
    kinds = _kinds(interactions, rows, picks, names)
    return [
        sentences[kind].format(name=quoted[evidence]) if kind in NAMING else sentences[kind]
        for kind, evidence in zip(kinds.tolist(), picks.evidence.tolist(), strict=True)
    ]


def _short(name: str | None) -> str:
    text = " ".join((name or "").split())
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1].rstrip() + "…"


def _kinds(interactions: Interactions, rows: IntArray, picks: Picks, names: list[str]) -> np.ndarray:
    """Of each pick the key of its sentence."""
    by = np.array(names)[picks.strategy] if len(picks.item) else np.empty(0, dtype=str)
    days = look_up(interactions.days, rows, picks.item)
    last_age = look_up(interactions.last_age, rows, picks.item)
    first_age = look_up(interactions.first_age, rows, picks.item)
    gap = (first_age - last_age) / np.maximum(days - 1, 1)
    is_frequent = days >= FREQUENT_DAYS
    is_due = is_frequent & (last_age - 1 >= DUE_SHARE_OF_CYCLE * gap)
    is_named = np.array([bool(_short(name)) for name in interactions.catalogue.name] + [False])[picks.evidence]
    bestseller_bound = _bestseller_bound(interactions)
    is_hot = interactions.sold_this_week[picks.item] >= bestseller_bound
    is_sold = interactions.popularity[picks.item] > 0
    explained = picks.evidence != NOBODY
    return np.select(
        [
            (by == "personal") & is_due,
            (by == "personal") & is_frequent,
            by == "personal",
            (by == "item_item") & explained & is_named,
            by == "item_item",
            (by == "next_stage") & explained & is_named,
            by == "next_stage",
            np.isin(by, ("neighbours", "factors")),
            by == "trending",
            by == "nearby",
            is_hot,
            is_sold,
        ],
        [
            "due",
            "frequent",
            "again",
            "neighbour",
            "neighbour_unnamed",
            "next_stage",
            "for_age",
            "alike",
            "trending",
            "nearby",
            "hot",
            "popular",
        ],
        default="picked",
    )


def _bestseller_bound(interactions: Interactions) -> float:
    """Sales this week from which an item is a bestseller: those of the 100th item, and two at least."""
    sold = interactions.sold_this_week
    if not len(sold):
        return 2.0
    place = min(BESTSELLERS, len(sold))
    return max(2.0, float(np.partition(sold, len(sold) - place)[len(sold) - place]))
