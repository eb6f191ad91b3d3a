"""Recommendations: strategies behind one protocol, their blend, and a reason for every item."""

from models.recommend.recommending import SCHEMA, iter_recommendations, recommend
from models.recommend.settings import RecommendSettings

__all__ = ["SCHEMA", "RecommendSettings", "iter_recommendations", "recommend"]
