"""Probabilistic linkage: which records are one person, learned without labels, with a score and its evidence."""

from models.linkage.fields import FIELDS
from models.linkage.linking import THRESHOLD, Linkage, link

__all__ = ["FIELDS", "THRESHOLD", "Linkage", "link"]
