"""Probabilistic linkage: which records are one person, learned without labels, with a score and its evidence."""

from models.linkage.blocking import LARGEST_BLOCK
from models.linkage.clustering import LARGEST as LARGEST_GROUP
from models.linkage.clustering import cluster, components
from models.linkage.fields import FIELDS
from models.linkage.frozen import Model, Records, learn
from models.linkage.linking import THRESHOLD, Linkage, link

__all__ = [
    "FIELDS", "LARGEST_BLOCK", "LARGEST_GROUP", "THRESHOLD", "Linkage", "Model", "Records", "cluster", "components",
    "learn", "link",
]  # fmt: skip
