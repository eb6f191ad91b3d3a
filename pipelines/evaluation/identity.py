"""Probabilistic linkage measured on records whose persons are known.

The linker gets the fields alone; the truth stays here and meets the clusters only when they are made.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.evaluate.clusters import ClusterQuality, cluster_quality
from models.linkage import FIELDS, link
from pipelines.errors import ConfigurationError
from pipelines.evaluation.tables import parse_map, read_table

TRUTH = "truth"


@dataclass(frozen=True)
class IdentityMeasured:
    """Figures of one evaluation.

    records: rows of the file; without_truth: rows linked but not measured. entities, clusters: persons that are true,
    and found, among the measured. candidate_pairs: pairs that were compared. threshold: bits of evidence above which
    records are one person. seconds: of linking alone, wall clock.
    """

    records: int
    without_truth: int
    entities: int
    clusters: int
    candidate_pairs: int
    threshold: float
    seconds: float
    quality: ClusterQuality

    def row(self) -> dict[str, Any]:
        """One flat record, shares to six places."""
        quality = {name: round(value, 6) for name, value in asdict(self.quality).items()}
        counts = {
            name: getattr(self, name)
            for name in ("records", "without_truth", "entities", "clusters", "candidate_pairs")
        }
        return quality | counts | {"threshold": self.threshold, "seconds": round(self.seconds, 2)}


def evaluate_identity(data: Path, map_text: str | None) -> IdentityMeasured:
    """Link the records of a file and compare with its truth. Raises ConfigurationError for wrong usage."""
    mapping = parse_map(map_text, (TRUTH, *FIELDS))
    for field, column in mapping.items():
        if field != TRUTH and column == mapping.get(TRUTH, TRUTH):
            raise ConfigurationError(f"--map: {column!r} is the truth; it cannot be {field} too.")
    table = read_table(data, mapping, (TRUTH, *FIELDS))
    if TRUTH not in table.column_names:
        raise ConfigurationError("--map: say which column tells who is whom, as truth=COLUMN.")
    known = table.drop([TRUTH])
    if not known.num_columns:
        raise ConfigurationError(f"--map: name at least one of {', '.join(FIELDS)}.")
    truth = table[TRUTH].combine_chunks()
    is_known = np.asarray(truth.is_valid())
    if not is_known.any():
        raise ConfigurationError(f"--data: no row of {data.name} says who it is; there is nothing to measure against.")
    started = time.perf_counter()
    linkage = link(known)
    seconds = time.perf_counter() - started
    entities = np.asarray(truth.dictionary_encode().indices.fill_null(-1), dtype=np.int64)[is_known]
    clusters = linkage.clusters[is_known]
    return IdentityMeasured(
        records=table.num_rows,
        without_truth=int((~is_known).sum()),
        entities=len(np.unique(entities)),
        clusters=len(np.unique(clusters)),
        candidate_pairs=linkage.n_pairs,
        threshold=linkage.threshold,
        seconds=seconds,
        quality=cluster_quality(clusters, entities),
    )
