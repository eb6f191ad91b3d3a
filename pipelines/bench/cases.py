"""The comparisons that `omnilake bench` makes, by name."""

from __future__ import annotations

from pipelines.bench import identity, ingest, recommend, rfm
from pipelines.bench.timing import Case

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        ingest.MEMBERS_ONLY,
        ingest.WITH_GUESTS,
        rfm.RFM,
        identity.REBUILD,
        identity.INCREMENT,
        recommend.RECOMMEND,
    )
}
