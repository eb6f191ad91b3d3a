"""Look-ups: the right key sees its own members, from the newest snapshot, without personal data."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from starlette.testclient import TestClient

from pipelines.doors import Door
from pipelines.keys import Keys, ensure_keys
from pipelines.serve.app import create_app
from pipelines.serve.reader import SnapshotReader
from pipelines.settings import Settings
from pipelines.snapshots import new_snapshot_id, publish
from pipelines.warehouse import connect, open_warehouse
from tests.unit.serve.lookup_snapshots import PHONE, publish_snapshot

MALL = {"X-API-Key": "key of the mall"}
POS = {"X-API-Key": "key of the tills"}


@pytest.fixture(scope="module")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A published home, and its snapshot's id."""
    home = tmp_path_factory.mktemp("published") / "home"
    made = Settings(home=home, memory_limit="500MB", threads=1)
    return home, publish_snapshot(made, ensure_keys(made, {}))


@pytest.fixture
def published(settings: Settings, published_once: tuple[Path, str]) -> str:
    """The home holds a snapshot; its id."""
    home, snapshot_id = published_once
    shutil.copytree(home, settings.home, symlinks=True)
    return snapshot_id


@pytest.fixture
def keys(settings: Settings, published_once: tuple[Path, str], request: pytest.FixtureRequest) -> Keys:
    """The home's keys; those of the published snapshot where the test has one."""
    if "published" in request.fixturenames:
        request.getfixturevalue("published")
    return ensure_keys(settings, {})


def problem(response: httpx.Response, status: int) -> str:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    return response.json()["detail"]


def customer(client: TestClient, member: str, **query: object) -> dict:
    response = client.get(f"/v1/customers/mall/{quote(member, safe='')}", headers=MALL, params=query)
    assert response.status_code == 200, response.text
    return response.json()


def test_a_member_is_told_with_tags_segment_and_recommendations(client: TestClient, published: str) -> None:
    found = customer(client, "M2")
    assert (found["customer_id"], found["segment"], found["lifecycle"], found["level"]) == (
        "c2", "champions", "active", "gold",
    )  # fmt: skip
    assert found["tags"][1] == {"tag": "segment", "value": "champions", "since": "2026-05-01"}
    assert (found["consent_marketing"], found["first_order_at"]) == (True, "2026-01-01T00:00:00Z")
    assert found["snapshot_id"] == published
    assert {item["sku"]: item["name"] for item in found["recommendations"]} == {"A": "Apple", "B": "Bread", "C": "Cake"}


def test_what_a_store_nearby_has_comes_first_nearest_store_first(client: TestClient, published: str) -> None:
    items = customer(client, "M2")["recommendations"]  # home store S2
    assert [item["sku"] for item in items] == ["B", "C", "A"]
    assert items[0]["available_at"] == [{"store_id": "S4", "available": 1.0, "distance_km": None}]
    (at_s1,) = items[1]["available_at"]
    assert (at_s1["store_id"], at_s1["available"]) == ("S1", 4.0)
    assert at_s1["distance_km"] == pytest.approx(4.4, abs=0.2)
    assert items[2]["available_at"] == []  # only in Beijing, in a closed store and in a warehouse


def test_the_store_the_shopper_is_in_counts_above_their_own(client: TestClient, published: str) -> None:
    items = customer(client, "M2", store_id="S3")["recommendations"]
    assert [item["sku"] for item in items] == ["A", "B", "C"]
    assert items[0]["available_at"] == [{"store_id": "S3", "available": 9.0, "distance_km": 0.0}]


def test_only_what_is_in_stock_nearby_if_asked_so(client: TestClient, published: str) -> None:
    response = client.get("/v1/recommendations/mall/M2", headers=MALL, params={"in_stock": True, "store_id": "S1"})
    assert [item["sku"] for item in response.json()["items"]] == ["B", "C"]


def test_without_a_store_nothing_is_said_of_stock(client: TestClient, published: str) -> None:
    response = client.get("/v1/recommendations/mall/nobody", headers=MALL)
    assert [item["available_at"] for item in response.json()["items"]] == [None, None]


def test_limit_bounds_the_list(client: TestClient, published: str) -> None:
    assert [item["rank"] for item in customer(client, "M2", limit=2, store_id="S9")["recommendations"]] == [1, 2]
    problem(client.get("/v1/customers/mall/M2", headers=MALL, params={"limit": 0}), 422)
    problem(client.get("/v1/customers/mall/M2", headers=MALL, params={"limit": "x"}), 422)


def test_a_member_nobody_knows_gets_what_sells_best_marked_so(client: TestClient, published: str) -> None:
    found = client.get("/v1/recommendations/mall/nobody", headers=MALL).json()
    assert (found["customer_id"], found["is_fallback"]) == (None, True)
    assert [(item["sku"], item["strategy"], item["score"]) for item in found["items"]] == [
        ("B", "popular", 1.0), ("A", "popular", 0.4),
    ]  # fmt: skip


def test_a_known_customer_without_recommendations_gets_the_fallback_too(client: TestClient, published: str) -> None:
    found = client.get(f"/v1/recommendations/mall/{quote('M/1 ü', safe='')}", headers=MALL).json()
    assert (found["customer_id"], found["is_fallback"]) == ("c1", True)


def test_a_member_with_recommendations_gets_those(client: TestClient, published: str) -> None:
    found = client.get("/v1/recommendations/mall/M2", headers=MALL).json()
    assert (found["customer_id"], found["is_fallback"], len(found["items"])) == ("c2", False, 3)


def test_ids_keep_slashes_blanks_and_letters_of_any_script(client: TestClient, published: str) -> None:
    assert customer(client, "M/1 ü")["customer_id"] == "c1"


def test_a_member_id_that_is_a_phone_number_is_found_however_it_is_written(client: TestClient, published: str) -> None:
    for member in (PHONE, f"+86 {PHONE}", "139-1234-5678"):
        assert customer(client, member)["customer_id"] == "c3"


@pytest.mark.parametrize("member", ["M3", "M9", "P2", "abc", "M1", "m2", " M2", "%00", "x" * 3000])
def test_whom_the_channel_does_not_know_is_404(client: TestClient, published: str, member: str) -> None:
    problem(client.get(f"/v1/customers/mall/{quote(member, safe='')}", headers=MALL), 404)


@pytest.mark.parametrize("key", [None, "", "wrong", "key of the mal", "KEY OF THE MALL", "é"])
@pytest.mark.parametrize("path", ["customers/mall/M2", "recommendations/mall/M2", "customers/nowhere/M2"])
def test_without_a_channels_key_there_is_nothing(
    client: TestClient, published: str, path: str, key: str | None
) -> None:
    headers = {} if key is None else {"X-API-Key": key.encode()}
    response = client.get(f"/v1/{path}", headers=headers)
    problem(response, 401)
    assert response.headers["www-authenticate"].startswith("ApiKey")


@pytest.mark.parametrize("channel", ["pos", "kiosk", "nowhere"])
def test_a_key_opens_no_other_channel(client: TestClient, published: str, channel: str) -> None:
    problem(client.get(f"/v1/customers/{channel}/P2", headers=MALL), 403)


def test_a_channel_sees_its_own_view_of_one_customer(client: TestClient, published: str) -> None:
    assert client.get("/v1/customers/pos/P2", headers=POS).json()["customer_id"] == "c2"
    problem(client.get("/v1/customers/pos/M2", headers=POS), 404)


def test_no_personal_data_and_no_other_channels_id_is_told(client: TestClient, published: str) -> None:
    text = client.get("/v1/customers/mall/M2", headers=MALL).text
    assert "P2" not in text
    assert "abc" not in text


def test_before_the_first_publish_it_says_so(client: TestClient) -> None:
    response = client.get("/v1/customers/mall/M2", headers=MALL)
    assert "omnilake run" in problem(response, 503)
    assert response.headers["retry-after"] == "60"
    health = client.get("/v1/health").json()
    assert health["snapshot_id"] is None
    assert "omnilake run" in health["detail"]


def test_a_new_publish_is_served_without_a_restart_and_the_old_file_is_closed(
    client: TestClient, settings: Settings, keys: Keys, published: str
) -> None:
    assert customer(client, "M2")["segment"] == "champions"
    newer = publish_snapshot(settings, keys, segment="lost")
    assert customer(client, "M2")["segment"] == "lost"
    assert client.get("/v1/health").json()["snapshot_id"] == newer
    open_files = {str(link.resolve()) for link in Path("/proc/self/fd").iterdir()}
    assert not any(published in path for path in open_files)
    assert any(newer in path for path in open_files)


def test_a_reader_under_way_keeps_its_snapshot_until_it_is_done(
    settings: Settings, keys: Keys, reader: SnapshotReader, published: str
) -> None:
    with reader.read() as early:
        publish_snapshot(settings, keys, segment="lost")
        with reader.read() as late:
            assert late.rows("SELECT value FROM marts.customer_tags WHERE tag = 'segment'") == [("lost",)]
        assert early.rows("SELECT value FROM marts.customer_tags WHERE tag = 'segment'") == [("champions",)]


def test_a_snapshot_of_an_older_version_is_503_with_the_remedy(
    client: TestClient, settings: Settings, published: str
) -> None:
    with connect(settings, (settings.snapshots / "current").resolve()) as connection:
        connection.execute("DROP SCHEMA lookup CASCADE")
    assert "omnilake run" in problem(client.get("/v1/customers/mall/M2", headers=MALL), 503)


def test_a_broken_snapshot_is_503_and_the_next_one_is_served(
    client: TestClient, settings: Settings, keys: Keys, published: str
) -> None:
    (settings.snapshots / "current").resolve().write_bytes(b"no database")
    problem(client.get("/v1/customers/mall/M2", headers=MALL), 503)
    publish_snapshot(settings, keys)
    assert customer(client, "M2")["customer_id"] == "c2"


def test_a_home_with_few_marts_still_answers(client: TestClient, settings: Settings, published: str) -> None:
    with open_warehouse(settings) as connection:
        for table in ("recommendations", "order_events", "stock", "stores", "products"):
            connection.execute(f"DROP TABLE marts.{table}")
    publish(settings, new_snapshot_id(), {})
    assert customer(client, "M2", store_id="S1")["recommendations"] == []
    assert client.get("/v1/recommendations/mall/x", headers=MALL).json()["items"] == []


def test_a_key_that_asks_too_often_is_told_when_to_come_again(
    settings: Settings, doors: dict[str, Door], keys: Keys, reader: SnapshotReader, published: str
) -> None:
    with TestClient(create_app(settings, doors, keys, reader, lookups_per_second=1)) as client:
        answers = [client.get("/v1/customers/mall/M2", headers=MALL) for _ in range(4)]
        others = client.get("/v1/customers/pos/P2", headers=POS)
    assert [answer.status_code for answer in answers][:2] == [200, 200]
    problem(answers[-1], 429)
    assert answers[-1].headers["retry-after"] == "1"
    assert others.status_code == 200


def test_health_needs_no_key(client: TestClient, published: str) -> None:
    health = client.get("/v1/health").json()
    assert (health["snapshot_id"], health["detail"]) == (published, "")
    assert 0 <= health["age_seconds"] < 600
