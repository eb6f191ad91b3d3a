"""All strategies, with the weights that the settings give them.

Belongs here: the list. Does not belong here: any strategy, how they are weighed against each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.recommend.factors import Factors
from models.recommend.item_item import ItemItem
from models.recommend.neighbours import Neighbours
from models.recommend.next_stage import NextStage, StageSpan
from models.recommend.personal import Personal
from models.recommend.place_strategies import Nearby, Trending
from models.recommend.popularity import Popularity
from models.recommend.settings import RecommendSettings
from models.recommend.strategy import Strategy


def strategies_of(settings: RecommendSettings, stages: Sequence[StageSpan]) -> list[tuple[Strategy, float]]:
    """Unfitted strategies and their weights; of equal contributions the first one gives the reason."""
    return [
        (NextStage(stages), settings.next_stage_weight if stages else 0.0),
        (Personal(), settings.personal_weight),
        (ItemItem(settings), settings.item_item_weight),
        (Neighbours(settings), settings.neighbours_weight),
        (Factors(settings), settings.factors_weight),
        (Trending(), settings.trending_weight),
        (Nearby(), settings.nearby_weight),
        (Popularity(), settings.popularity_weight),
        (Popularity(ever=True), 0.0),
    ]
