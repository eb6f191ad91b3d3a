"""The columns a segment can be exported with: where each comes from and which of them are personal data.

Belongs here: the catalogue, its checks, and the query it makes. Does not belong here: writing files or revealing.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.errors import ConfigurationError


@dataclass(frozen=True)
class Field:
    """One exportable column. table: the mart it needs; expression: its SQL."""

    table: str
    expression: str


_RFM = ("recency_days", "frequency", "monetary", "r_score", "f_score", "m_score")
_SCORES = ("p_alive", "expected_orders_90d", "clv_12m", "churn_probability", "next_order_due", "model_version")

FIELDS: dict[str, Field] = {
    "customer_id": Field("customers", "customers.customer_id"),
    "segment": Field("customer_rfm", "rfm.segment"),
    "lifecycle": Field("customer_rfm", "rfm.lifecycle"),
    "level": Field("customers", "customers.level"),
    "consent_marketing": Field("customers", "customers.consent_marketing"),
    **{name: Field("customer_rfm", f"rfm.{name}") for name in _RFM},
    **{name: Field("customer_scores", f"scores.{name}") for name in _SCORES},
    "home_store_id": Field("customers", "customers.home_store_id"),
    "tags": Field("customer_tags", "labels.tags"),
}

PERSONAL = ("name", "phone", "email")
"""In the vault alone; exported with a purpose, which is logged."""

DEFAULT = (
    "customer_id", "segment", "lifecycle", "level", "consent_marketing", "recency_days", "frequency", "monetary",
    "home_store_id", "tags",
)  # fmt: skip

_PUBLISHED = "SELECT members.customer_id FROM marts.segment_members AS members WHERE members.segment = $segment"

_JOINS = {
    "customer_rfm": """
        LEFT JOIN marts.customer_rfm AS rfm
            ON customers.customer_id = rfm.customer_id AND rfm.snapshot_date = $as_of
    """,
    "customer_scores": "LEFT JOIN marts.customer_scores AS scores ON customers.customer_id = scores.customer_id",
    "customer_tags": """
        LEFT JOIN (
            SELECT
                customer_id,
                list(tag || '=' || value ORDER BY tag, value) AS tags
            FROM marts.customer_tags
            GROUP BY customer_id
        ) AS labels ON customers.customer_id = labels.customer_id
    """,
}


def check_fields(fields: tuple[str, ...], tables: frozenset[str]) -> None:
    """Raises ConfigurationError for an unknown, repeated or (in this snapshot) missing field; lists the valid ones."""
    available = [name for name, field in FIELDS.items() if field.table in tables]
    unknown = [name for name in fields if name not in available and name not in PERSONAL]
    if not fields or unknown:
        found = ", ".join(repr(name) for name in unknown) or "nothing"
        raise ConfigurationError(
            f"--fields has {found}; choose from: {', '.join(available)}; with --purpose also {', '.join(PERSONAL)}."
        )
    if len(set(fields)) < len(fields):
        raise ConfigurationError(f"--fields names a column twice: {', '.join(fields)}.")


def make_query(
    fields: tuple[str, ...], tables: frozenset[str], members: str | None = None, *, by_store: bool = False
) -> str:
    """SQL of the segment's customers by customer_id; parameters $segment, and $as_of where RFM is asked for.

    members: a query of the segment's customer_id, instead of what is published under $segment. by_store: only customers
    at home in one of $stores.

    With personal fields there is a column `members`: the memberships, last seen first, to look up in the vault, each
    with `golden`, the personal attributes that the golden record takes from it (none in a snapshot without one).
    """
    asked = [name for name in fields if name in FIELDS]
    columns = ["customers.customer_id AS _customer_id", *(f"{FIELDS[name].expression} AS {name}" for name in asked)]
    joins = [join for table, join in _JOINS.items() if any(FIELDS[name].table == table for name in asked)]
    if any(name in PERSONAL for name in fields):
        columns.append("memberships.members")
        golden = (
            "SELECT customer_id, source_channel, source_member, list(attribute) AS attributes FROM marts.golden_record "
            "WHERE is_masked GROUP BY customer_id, source_channel, source_member"
            if "golden_record" in tables
            else "SELECT NULL::VARCHAR AS customer_id, NULL::VARCHAR AS source_channel, "
            "NULL::VARCHAR AS source_member, NULL::VARCHAR[] AS attributes WHERE false"
        )
        joins.append(
            f"""
            LEFT JOIN (
                SELECT
                    identities.customer_id,
                    list(
                        {{
                            'channel': identities.channel,
                            'member_id': identities.identity,
                            'golden': coalesce(golden.attributes, [])
                        }}
                        ORDER BY identities.last_seen_at DESC NULLS LAST, identities.channel, identities.identity
                    ) AS members
                FROM marts.customer_identities AS identities
                LEFT JOIN ({golden}) AS golden
                    ON identities.customer_id = golden.customer_id
                        AND identities.channel = golden.source_channel AND identities.identity = golden.source_member
                WHERE identities.kind = 'member' AND identities.customer_id IS NOT NULL
                GROUP BY identities.customer_id
            ) AS memberships ON customers.customer_id = memberships.customer_id
            """
        )
    return f"""
        SELECT {", ".join(columns)}
        FROM marts.customers AS customers
        {" ".join(joins)}
        WHERE customers.customer_id IN ({members or _PUBLISHED})
        {"AND list_contains($stores::VARCHAR[], customers.home_store_id)" if by_store else ""}
        ORDER BY customers.customer_id
    """
