"""Who is one person though no identifier says so, night by night."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipelines.errors import ConfigurationError, PermanentError
from pipelines.identity.config import load_rules
from pipelines.identity.linkage import memory
from pipelines.identity.rules import ACCEPT, REJECT, NodeKey, make_rule, undo_rule
from pipelines.state import state
from pipelines.vault import Vault, member_person
from tests.unit.identity.people import PeopleLake, fill, somebody

pytestmark = pytest.mark.xdist_group("linkage")


@pytest.fixture
def people(tmp_path: Path) -> PeopleLake:
    return PeopleLake(tmp_path / "home")


@pytest.fixture(scope="module")
def linked_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 persons, 60 of them at two doors without an identifier in common, linked once. Tests copy it."""
    folder = tmp_path_factory.mktemp("linked")
    lake = PeopleLake(folder / "home", folder / "warehouse.duckdb")
    fill(lake, 120, 60)
    lake.find()
    lake.connection.close()
    return folder


@pytest.fixture
def linked(linked_home: Path, tmp_path: Path) -> PeopleLake:
    """A copy of the linked home."""
    shutil.copytree(linked_home, tmp_path / "copy")
    return PeopleLake.reopen(tmp_path / "copy" / "home", tmp_path / "copy" / "warehouse.duckdb")


def decide(lake: PeopleLake, kind: str, left: tuple[str, str], right: tuple[str, str]) -> str:
    with state(lake.settings) as engine:
        return make_rule(engine, kind, (NodeKey(*left),), (NodeKey(*right),), why="asked her", who="ann").name


def test_persons_without_a_common_identifier_are_found(linked: PeopleLake) -> None:
    together = sum(linked.same(f"app/a{number}", f"shop/s{number}") for number in range(60))
    assert together == 60
    assert len({customer for _, _, customer in linked.partition()}) == 120


def test_who_joins_in_the_night_of_arrival_never_was_another_customer(linked: PeopleLake) -> None:
    assert linked.merges() == []
    linked.person("s77", 90, "shop", **somebody(77))
    report, found = linked.find()
    assert (report.merges, found.scored, linked.same("app/a77", "shop/s77")) == (0, 1, True)


def test_a_night_without_news_scores_nobody_and_changes_nothing(linked: PeopleLake) -> None:
    before = linked.partition(), linked.rows("from identity.linked_pairs order by all")
    report, found = linked.find()
    assert (report.is_full, found.scored, found.is_changed, found.learned) == (False, 0, False, False)
    assert (linked.partition(), linked.rows("from identity.linked_pairs order by all")) == before


def test_an_increment_gives_what_a_rebuild_gives(linked: PeopleLake) -> None:
    linked.person("s80", 90, "shop", **somebody(80))
    linked.person("a3", 91, **somebody(3) | {"name": "马彻底改", "birthday": "1971-01-01", "address": "别处1号"})
    linked.person("s5", 92, "shop", **somebody(5) | {"deleted": True})
    linked.find()
    in_portions = linked.partition(), linked.rows("from identity.linked_pairs order by all"), linked.reviews()
    assert linked.same("app/a80", "shop/s80")
    assert not linked.same("app/a3", "shop/s3")
    linked.find(full=True)
    assert (linked.partition(), linked.rows("from identity.linked_pairs order by all"), linked.reviews()) == in_portions


def test_no_value_of_anybody_lands_in_the_warehouse_or_the_state(linked_home: Path) -> None:
    files = [linked_home / "warehouse.duckdb", *(linked_home / "home").glob("state.db*")]
    content = b"".join(path.read_bytes() for path in files)
    assert len(files) > 1
    for number in range(60):
        known = somebody(number)
        for field in ("name", "address", "birthday"):
            assert known[field].encode() not in content, field
    assert b"given name same" in content


@pytest.mark.slow
def test_relatives_at_one_address_stay_two_persons(people: PeopleLake) -> None:
    fill(people, 100, 60)
    for number in range(40):
        wife = somebody(number) | {"name": somebody(number)["name"][0] + "丽华", "gender": "F"}
        wife["birthday"] = f"{1965 + number % 30}-11-{1 + number % 28:02}"
        people.person(f"w{number}", 60, "shop", **wife)
    people.find()
    joined = sum(people.same(f"app/a{number}", f"shop/w{number}") for number in range(40))
    assert joined == 0


@pytest.mark.slow
def test_a_blocked_phone_is_no_evidence(people: PeopleLake) -> None:
    fill(people, 100, 60)
    for number in range(15):
        people.person(f"t{number}", 50, "till", name=f"何{chr(0x6700 + number)}", phone="13911112222")
    people.find()
    assert people.identity("phone", "13911112222")["is_blocked"]
    assert len({customer for channel, _, customer in people.partition() if channel == "till"}) == 15
    assert people.rows("select count(*) from identity.linkage_scores where evidence like '%phone same%'") == [(0,)]


@pytest.mark.slow
def test_a_masked_number_is_evidence_as_far_as_it_is_shown(people: PeopleLake) -> None:
    fill(people, 100, 60)
    for number in range(61, 90):
        known = somebody(number) | {"phone": f"199****{number:04}"}
        people.person(f"m{number}", 60, "market", **known)
    people.find()
    assert sum(people.same(f"app/a{number}", f"market/m{number}") for number in range(61, 90)) == 29
    evidence = people.rows("select evidence from identity.linked_pairs where right_channel = 'market'")
    assert all("phone one digit apart, or the same as far as it is shown" in words for (words,) in evidence)


@pytest.mark.parametrize(
    "said",
    [
        [],
        [{}],
        [{}, {}],
        [{"name": "王雨欣"}, {"name": "王雨欣"}],
        [{"gender": "F"}] * 60,
        [{"name": "微信用户", "gender": "F", "city": "上海"}] * 60,
        [{}] * 60,
        [{"name": "***"}, {"name": "  "}, {"name": "?"}, {"birthday": "1990-01-01"}],
    ],
)
def test_next_to_nothing_to_compare_is_no_error_and_joins_nobody(
    people: PeopleLake, said: list[dict[str, Any]]
) -> None:
    for number, known in enumerate(said):
        people.person(f"m{number}", **known)
    report, found = people.find()
    assert found.joined == 0
    assert report.customers == len(said)


@pytest.mark.slow
def test_equal_names_alone_join_nobody(people: PeopleLake) -> None:
    for number in range(200):
        people.person(f"m{number}", name="王芳", city="上海", gender="F")
    report, _ = people.find()
    assert report.customers == 200


def test_a_home_without_a_vault_links_nobody(lake: Any) -> None:
    from pipelines.identity import find_customers

    lake.member("a", name="王雨欣", birthday="1990-01-01")
    _, found = find_customers(lake.connection, lake.settings)
    assert (found.people, found.joined) == (0, 0)
    assert lake.rows("select count(*) from identity.reviews") == [(0,)]


@pytest.mark.slow
def test_switched_off_linkage_takes_its_joins_back(linked: PeopleLake) -> None:
    linked.rules("linkage: {enabled: false}")
    report, _ = linked.find()
    assert report.splits == 60
    assert len({customer for _, _, customer in linked.partition()}) == 180
    linked.rules("linkage: {enabled: true}")
    linked.find()
    assert len({customer for _, _, customer in linked.partition()}) == 120


@pytest.mark.slow
def test_a_person_who_was_erased_is_compared_with_nobody(linked: PeopleLake) -> None:
    with Vault.open(linked.settings) as vault:
        vault.destroy_person([member_person("shop", "s4")])
    _, found = linked.find(full=True)
    assert found.joined == 59
    assert not linked.same("app/a4", "shop/s4")


def test_a_rejected_pair_stays_apart_and_no_chain_rejoins_it(linked: PeopleLake) -> None:
    made = decide(linked, REJECT, ("app", "a7"), ("shop", "s7"))
    report, _ = linked.find()
    assert (report.splits, linked.same("app/a7", "shop/s7")) == (1, False)
    linked.person("x7", 95, "live", **somebody(7))
    linked.person("y7", 96, "h5", **somebody(7))
    for full in (False, True):
        linked.find(full=full)
        assert not linked.same("app/a7", "shop/s7")
    (review,) = linked.reviews("rejected")
    assert (review["decided_by"], review["reason"]) == ("ann", "asked her")
    assert {review["left_member_id"], review["right_member_id"]} == {"a7", "s7"}
    with state(linked.settings) as engine:
        undo_rule(engine, made, why="it was him", who="bob")
    linked.find()
    assert linked.same("app/a7", "shop/s7")
    assert linked.reviews("rejected") == []


@pytest.mark.slow
def test_a_likely_pair_waits_for_a_person_and_joins_once_it_is_accepted(linked: PeopleLake) -> None:
    linked.rules("linkage: {sure_bits: 60, review_bits: 0}")
    linked.find()
    waiting = linked.reviews()
    assert len(waiting) == 60
    assert not linked.same("app/a9", "shop/s9")
    assert all(review["left_customer_id"] != review["right_customer_id"] for review in waiting)
    decide(linked, ACCEPT, ("app", "a9"), ("shop", "s9"))
    linked.find()
    assert linked.same("app/a9", "shop/s9")
    assert len(linked.reviews()) == 59
    linked.find(full=True)
    assert linked.same("app/a9", "shop/s9")
    assert [review["state"] for review in linked.reviews("accepted")] == ["accepted"]


@pytest.mark.slow
def test_the_model_is_learned_once_kept_over_a_lost_warehouse_and_learned_anew_when_asked(
    linked: PeopleLake,
) -> None:
    with state(linked.settings) as engine:
        first = memory.current(engine)
    assert first is not None
    again = PeopleLake(linked.settings.home)
    fill(again, 120, 60)
    _, found = again.find()
    assert not found.learned
    assert again.partition() == linked.partition()
    with state(linked.settings) as engine:
        assert memory.forget_model(engine)
        assert not memory.forget_model(engine)
    _, found = linked.find()
    assert found.learned
    with state(linked.settings) as engine:
        second = memory.current(engine)
    assert second is not None
    assert second.fingerprint == first.fingerprint


@pytest.mark.slow
def test_a_model_is_learned_anew_when_its_people_have_doubled(people: PeopleLake) -> None:
    fill(people, 50)
    assert people.find()[1].learned
    for number in range(200, 249):
        people.person(f"n{number}", 70, **somebody(number))
    assert not people.find()[1].learned
    people.person("n249", 71, **somebody(249))
    assert people.find()[1].learned


@pytest.mark.slow
def test_a_model_of_another_version_is_not_used(linked: PeopleLake) -> None:
    with state(linked.settings) as engine, engine.begin() as transaction:
        table = memory.linkage_models
        text: str = transaction.execute(sa.select(table.c.parameters)).scalar_one()
        transaction.execute(table.update().values(parameters=text.replace('"version": 1', '"version": 0')))
    assert linked.find()[1].learned


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("linkage: yes please", "linkage may hold only"),
        ("linkage: {enabled: 1}", "linkage.enabled"),
        ("linkage: {sure_bits: many}", "linkage.sure_bits"),
        ("linkage: {sure_bits: -1}", "linkage.sure_bits"),
        ("linkage: {sure_bits: .nan}", "linkage.sure_bits"),
        ("linkage: {sure_bits: 3, review_bits: 4}", "review_bits is 4"),
        ("linkage: {fields: [name, shoe_size]}", "linkage.fields"),
        ("linkage: {fields: []}", "linkage.fields"),
        ("linkage: {fields: name}", "linkage.fields"),
        ("linkage: {treshold: 3}", "linkage may hold only"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(people: PeopleLake, text: str, named: str) -> None:
    people.rules(text)
    with pytest.raises(ConfigurationError, match=r"identity\.yml") as raised:
        load_rules(people.settings)
    assert named in str(raised.value)


def test_a_review_that_is_not_published_is_refused(people: PeopleLake) -> None:
    from pipelines.identity.linkage.reviews import decide as decide_review

    people.connection.execute("create schema marts")
    people.find()
    people.connection.execute("create view marts.identity_reviews as from identity.reviews")
    with state(people.settings) as engine, pytest.raises(PermanentError, match="omnilake identity reviews"):
        decide_review(engine, people.connection, "v0", REJECT, why="", who="ann")
