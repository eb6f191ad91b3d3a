"""What a customer has consented to, against the rules written twice: in SQL, and here in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipelines.settings import Settings
from tests.support.dbt_models import CompiledModels, memory_warehouse
from tests.support.raw_tables import Row, a_channel, create_warehouse_tables, the_channels

CHANNELS = the_channels(a_channel("pos"), a_channel("web"))
FIRST = datetime(2026, 1, 1)


@dataclass(frozen=True)
class Version:
    """A version of a member's record, as far as consent goes. Days count from FIRST; stated None: as of the record."""

    channel: str
    member: str
    updated: int
    granted: bool | None
    stated: int | None
    deleted: bool


VERSIONS = st.builds(
    Version,
    channel=st.sampled_from(["pos", "web"]),
    member=st.sampled_from(["m1", "m2"]),
    updated=st.integers(0, 3),
    granted=st.sampled_from([True, False, None]),
    stated=st.sampled_from([None, None, 0, 1, 2, 3]),
    deleted=st.sampled_from([False, False, False, True]),
)


def said(versions: Sequence[Version]) -> dict[tuple[str, str], tuple[int, bool]]:
    """When each live membership last said what; of the same instant the newest record, then a no."""
    answers: dict[tuple[str, str], tuple[int, bool]] = {}
    for place in {(version.channel, version.member) for version in versions}:
        of_place = [(no, one) for no, one in enumerate(versions) if (one.channel, one.member) == place]
        _, newest = max(of_place, key=lambda entry: (entry[1].updated, entry[0]))
        stated = [
            (one.updated if one.stated is None else one.stated, one.updated, not one.granted, one.granted)
            for _, one in of_place
            if one.granted is not None
        ]
        if stated and not newest.deleted:
            at, _, _, granted = max(stated)
            answers[place] = (at, bool(granted))
    return answers


def answer(rule: str, answers: dict[tuple[str, str], tuple[int, bool]]) -> bool | None:
    if not answers:
        return None
    if rule == "stricter":
        return all(granted for _, granted in answers.values())
    newest = max(at for at, _ in answers.values())
    return all(granted for at, granted in answers.values() if at == newest)


@pytest.mark.parametrize("rule", ["stricter", "latest"])
@examples(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(versions=st.lists(VERSIONS, min_size=1, max_size=8))
def test_the_answer_rests_on_the_rows_that_decide(
    ledger_models: CompiledModels, settings: Settings, rule: str, versions: list[Version]
) -> None:
    members: list[Row] = [
        {
            "channel": one.channel,
            "member_id": one.member,
            "updated_at": FIRST + timedelta(days=one.updated),
            "consent_marketing": one.granted,
            "consent_updated_at": None if one.stated is None else FIRST + timedelta(days=one.stated),
            "deleted": one.deleted,
        }
        for one in versions
    ]
    places = sorted({(one.channel, one.member) for one in versions})
    identities = [
        {"kind": "member", "channel": channel, "identity": member, "customer_id": "c1", "is_blocked": False}
        for channel, member in places
    ]
    chosen = ledger_models.only_for("customer_consents")
    with memory_warehouse() as connection:
        create_warehouse_tables(
            connection, settings, CHANNELS, date(2026, 6, 30), {"members": members}, {"identities": identities}
        )
        connection.execute("UPDATE reference.consent_rules SET rule = ?", [rule])
        chosen.build(connection)
        rows = connection.execute(
            "SELECT channel, member_id, is_granted, is_live, decides FROM marts.customer_consents ORDER BY ALL"
        ).fetchall()
    answers = said(versions)
    assert {(channel, member): granted for channel, member, granted, live, _ in rows if live} == {
        place: granted for place, (_, granted) in answers.items()
    }
    deciding = {granted for _, _, granted, _, decides in rows if decides}
    expected = answer(rule, answers)
    assert deciding == (set() if expected is None else {expected})
    assert not any(decides and not live for _, _, _, live, decides in rows)
