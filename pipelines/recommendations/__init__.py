"""Recommendations for every customer: out of the marts, through the model, back as the mart `recommendations`."""

from pipelines.recommendations.nightly import RecommendationsReport, write_recommendations
from pipelines.recommendations.rules import Rules, load_rules

__all__ = ["RecommendationsReport", "Rules", "load_rules", "write_recommendations"]
