"""Real data sets as feeds of the landing contract.

Belongs here: one module a data set, each with its bridge from the source's own columns to net sales. Does not belong
here: anything that reads feeds, or data sets themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipelines.errors import ConfigurationError
from pipelines.imports import complete_journey, online_retail
from pipelines.imports.landing import ImportReport

__all__ = ["DATASETS", "ImportReport", "import_dataset"]

DATASETS = {"complete-journey": complete_journey.write_feeds, "online-retail": online_retail.write_feeds}


def import_dataset(
    name: str, source: Path | None, out: Path, progress: Callable[[str], None] | None = None
) -> ImportReport:
    """Turn the data set of that name into the landing folder `out` (new or empty), channels.yml included.

    source: folder with the data set's Parquet files. progress: called with a line of text for every feed.
    Raises ConfigurationError for an unknown name, a missing or wrong source, or an `out` that holds files.
    """
    if name not in DATASETS:
        raise ConfigurationError(f"There is no data set {name!r}; choose one of {', '.join(DATASETS)}.")
    return DATASETS[name](source, out, progress)
