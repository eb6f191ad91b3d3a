"""The frozen model: learned once, kept in the state database, used by every run until it must be learned anew.

Belongs here: keeping it and deciding when it no longer fits. It survives the loss of the warehouse, so that a rebuild
links by the same weights. Does not belong here: learning (models/linkage).

What is kept names columns and blocking keys; frequencies are of values that several records share, under keys that
nobody can look up without the home's secret.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import sqlalchemy as sa

from models.linkage import Model
from pipelines.state import metadata

GROWTH = 2
"""So many times the people it was learned from, and a model is learned anew."""

linkage_models = sa.Table(
    "linkage_models",
    metadata,
    sa.Column("model_no", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("fingerprint", sa.String(16), nullable=False),
    sa.Column("fields", sa.Text, nullable=False),
    sa.Column("n_people", sa.Integer, nullable=False),
    sa.Column("learned_at", sa.DateTime, nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("frequencies", sa.LargeBinary, nullable=False),
)


@dataclass(frozen=True)
class Kept:
    """A model that is kept. frequencies: name (a column), key (uint64), share. n_people: all there were."""

    fingerprint: str
    model: Model
    frequencies: pa.Table
    fields: tuple[str, ...]
    n_people: int
    learned_at: datetime

    def fits(self, fields: tuple[str, ...], n_people: int) -> bool:
        """Whether it may go on being used for these fields and so many people."""
        return self.fields == fields and n_people < GROWTH * max(self.n_people, 1)


def current(engine: sa.Engine) -> Kept | None:
    """The newest model; None if there is none, or another version of the software learned it."""
    query = sa.select(linkage_models).order_by(linkage_models.c.model_no.desc()).limit(1)
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    try:
        model = Model.of(json.loads(row.parameters))
    except (KeyError, TypeError, ValueError):
        return None
    frequencies = json.loads(zlib.decompress(row.frequencies))
    table = pa.table(
        {
            "name": pa.array(frequencies["name"], pa.string()),
            "key": pa.array(frequencies["key"], pa.uint64()),
            "share": pa.array(frequencies["share"], pa.float64()),
        }
    )
    return Kept(row.fingerprint, model, table, tuple(json.loads(row.fields)), row.n_people, row.learned_at)


def keep(engine: sa.Engine, model: Model, frequencies: pa.Table, fields: tuple[str, ...], n_people: int) -> Kept:
    """Keep a model as the current one; earlier ones go."""
    parameters = json.dumps(model.parameters(), sort_keys=True)
    packed = zlib.compress(json.dumps(frequencies.select(["name", "key", "share"]).to_pydict()).encode())
    fingerprint = hashlib.sha256(parameters.encode() + packed).hexdigest()[:16]
    learned_at = datetime.now(UTC).replace(tzinfo=None)
    with engine.begin() as connection:
        connection.execute(linkage_models.delete())
        connection.execute(
            linkage_models.insert().values(
                fingerprint=fingerprint, fields=json.dumps(fields), n_people=n_people, learned_at=learned_at,
                parameters=parameters, frequencies=packed,
            )
        )  # fmt: skip
    return Kept(fingerprint, model, frequencies, fields, n_people, learned_at)


def forget_model(engine: sa.Engine) -> bool:
    """Have the next run learn anew; whether there was a model."""
    with engine.begin() as connection:
        return bool(connection.execute(linkage_models.delete()).rowcount)
