"""Whatever arrives in whatever portions, the state equals one rebuild from the same raw rows."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("OMNILAKE_TEST_EXAMPLES", "10"))
PHONES = st.sampled_from([None, "1", "2", "3"])
NAMES = st.sampled_from([None, "zhang", "li", "wang"])
BIRTHDAYS = st.sampled_from([None, "1990-01-01", "1991-02-02"])
DAYS = st.sampled_from([0, 1, 2, 5, 10, 200, 500, 900])

MEMBER = st.fixed_dictionaries(
    {
        "member_id": st.sampled_from(["a", "b", "c", "d", "e"]),
        "channel": st.sampled_from(["app", "pos"]),
        "at": DAYS,
        "phone": PHONES,
        "email": st.sampled_from([None, None, "x", "y"]),
        "wechat_openid": st.sampled_from([None, None, "w", "v"]),
        "name": NAMES,
        "birthday": BIRTHDAYS,
        "gender": st.sampled_from([None, "M", "female"]),
        "deleted": st.sampled_from([None, None, None, True]),
        "phone_issue": st.sampled_from([None] * 15 + ["placeholder"]),
    }
)
ORDER = st.fixed_dictionaries(
    {
        "order_id": st.sampled_from(["o1", "o2", "o3", "o4", "o5", "o6"]),
        "channel": st.sampled_from(["app", "pos"]),
        "at": DAYS,
        "version": DAYS,
        "member_id": st.sampled_from([None, None, None, "a", "f", "g"]),
        "guest_phone": PHONES,
        "guest_email": st.sampled_from([None, None, "x", "y", "z"]),
        "guest_openid": st.sampled_from([None, None, "w", "v"]),
    }
)
STAFF = st.fixed_dictionaries({"staff_id": st.sampled_from(["s1", "s2"]), "phone": st.sampled_from(["1", "2", "9"])})
ROW = st.one_of(
    st.tuples(st.just("member"), MEMBER),
    st.tuples(st.just("member"), MEMBER),
    st.tuples(st.just("order"), ORDER),
    st.tuples(st.just("order"), ORDER),
    st.tuples(st.just("staff"), STAFF),
)
PORTIONS = st.lists(st.lists(ROW, min_size=1, max_size=6), min_size=2, max_size=5)


def state(lake: Any) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: sorted(lake.rows(f"select * from identity.{table}"), key=repr)
        for table in ("identities", "order_customers", "value_owners", "households")
    }


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(portions=PORTIONS, limit=st.sampled_from([2, 3, 10]))
def test_increments_equal_a_rebuild(new_lake, portions, limit):
    with tempfile.TemporaryDirectory() as home:
        lake = new_lake(Path(home))
        lake.rules(f"limits: {{default: {limit}}}")
        lake.resolve()
        for portion in portions:
            for method, columns in portion:
                getattr(lake, method)(**columns)
            assert not lake.resolve().is_full
        in_portions = state(lake)
        events = lake.rows("select count(*) from identity.merges")
        again = lake.resolve()
        assert (again.merges, again.splits, again.touched_nodes) == (0, 0, 0)
        rebuilt = lake.resolve(full=True)
        assert (rebuilt.is_full, rebuilt.merges, rebuilt.splits) == (True, 0, 0)
        assert state(lake) == in_portions
        assert lake.rows("select count(*) from identity.merges") == events
        lake.connection.execute("drop schema identity cascade")
        lake.resolve()
        assert state(lake) == in_portions
