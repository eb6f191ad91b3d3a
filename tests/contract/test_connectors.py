"""What every connector must do, whatever its platform. A new one joins by one line in SERVERS.

Each runs against a small real HTTP server that speaks like its platform (tests/support), misbehaving on purpose.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from pipelines.channels import load_channels
from pipelines.connectors.protocol import BadSignatureError, Connector, Page
from pipelines.errors import ConfigurationError, OmnilakeError
from pipelines.feeds.contract import FEEDS
from pipelines.feeds.load import load_landing
from pipelines.http import CredentialsError, RefusedError, exact_json, waiting
from pipelines.pulling import pull_all
from pipelines.state import state
from pipelines.warehouse import single_writer
from tests.support.corner_server import CornerServer
from tests.support.mall_server import MallServer
from tests.support.platform_server import Fault, PlatformServer
from tests.support.shopify_server import ShopifyServer
from tests.support.till_server import TillServer
from tests.support.wechat_server import WeChatServer
from tests.support.woocommerce_server import WooCommerceServer
from tests.support.youzan_server import YouzanServer

SERVERS: list[type[PlatformServer]] = [
    CornerServer,
    ShopifyServer,
    MallServer,
    WeChatServer,
    WooCommerceServer,
    TillServer,
    YouzanServer,
]

NOW = datetime(2026, 3, 31, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
PASSING = [Fault.BUSY, Fault.BROKEN, Fault.RESET, Fault.TRUNCATED, Fault.ERROR_PAGE]
"""Faults that a second attempt mends."""


@pytest.fixture(params=SERVERS, ids=lambda server: server.__name__)
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlatformServer]:
    monkeypatch.setattr(waiting, "sleep", lambda _seconds: None)
    with request.param() as running:
        yield running


@pytest.fixture
def connector(server: PlatformServer) -> Connector:
    return server.connect(server.options())


def page_size(connector: Connector, feed: str) -> int:
    return connector.capabilities().feeds[feed].page_size


def key_of(feed: str, row: Any) -> str:
    return str(row[FEEDS[feed].key[0]])


def pulled(connector: Connector, feed: str, since: datetime, until: datetime, state: Any = None) -> list[str]:
    return keys(feed, connector.pull(feed, since, until, state))


def keys(feed: str, pages: Iterable[Page]) -> list[str]:
    return [key_of(feed, row) for page in pages for row in page.records.get(feed, ())]


def canonical(pages: Sequence[Page]) -> list[str]:
    """Every row as text, without the instant at which stock was counted, which may be now."""
    return sorted(
        exact_json.dumps({name: value for name, value in row.items() if name != "counted_at"}, sort_keys=True)
        for page in pages
        for rows in page.records.values()
        for row in rows
    )


def test_capabilities_are_told_without_a_call_and_name_feeds_of_the_contract(server, connector):
    capabilities = connector.capabilities()

    assert server.calls == []
    assert server.feed in capabilities.feeds
    assert capabilities.feeds.keys() <= FEEDS.keys()
    assert capabilities.fetches <= FEEDS.keys()
    for feed in capabilities.feeds.values():
        assert feed.page_size >= 1
        assert feed.overlap >= timedelta(0)
        assert feed.widest_window is None or feed.widest_window > feed.overlap
        assert (feed.sweep_every is None) == (feed.sweep_span is None)


def test_every_record_of_a_window_arrives_on_pages_of_the_size_it_says(server, connector):
    size = page_size(connector, server.feed)
    ids = server.seed(2 * size + 3, NOW)
    pages = list(connector.pull(server.feed, NOW - HOUR, NOW))

    assert set(keys(server.feed, pages)) == set(ids)
    assert all(len(page.records.get(server.feed, ())) <= size for page in pages)
    assert [page.state is None for page in pages] == [False] * (len(pages) - 1) + [True]


def test_an_empty_window_is_one_last_page_or_none(server, connector):
    server.seed(3, NOW)
    pages = list(connector.pull(server.feed, NOW + 2 * HOUR, NOW + 3 * HOUR))

    assert keys(server.feed, pages) == []
    assert all(page.state is None for page in pages[-1:])


def test_the_widest_window_it_names_is_taken(server, connector):
    widest = connector.capabilities().feeds[server.feed].widest_window or timedelta(days=400)
    ids = server.seed(2, NOW)

    assert set(pulled(connector, server.feed, NOW - widest, NOW)) == set(ids)


def test_the_edges_of_a_window_belong_to_it(server, connector):
    older, newer = server.seed(2, NOW)

    assert {older, newer} <= set(pulled(connector, server.feed, NOW - timedelta(seconds=1), NOW))


def test_a_window_ends_where_it_says(server, connector):
    early = server.seed(1, NOW - HOUR)
    server.seed(1, NOW)

    assert set(pulled(connector, server.feed, NOW - 2 * HOUR, NOW - HOUR / 2)) == set(early)


def test_a_pull_goes_on_after_a_page_whose_state_was_kept_as_json(server, connector):
    ids = server.seed(2 * page_size(connector, server.feed) + 1, NOW)
    first = next(iter(connector.pull(server.feed, NOW - HOUR, NOW)))
    state = json.loads(json.dumps(first.state))
    again = server.connect(server.options())
    rest = pulled(again, server.feed, NOW - HOUR, NOW, state)

    assert set(keys(server.feed, [first])) | set(rest) == set(ids)
    assert len(rest) < len(ids)


def test_nothing_is_lost_while_records_move_during_the_pull(server, connector):
    size = page_size(connector, server.feed)
    ids = server.seed(3 * size + 2, NOW)
    later = NOW + HOUR
    arrived: list[str] = []
    for number, page in enumerate(connector.pull(server.feed, NOW - HOUR, NOW)):
        arrived += keys(server.feed, [page])
        if number == 0:
            with server.lock:
                for source_id in (ids[0], ids[1], ids[-1], arrived[0]):
                    server.move(source_id, later)
    arrived += pulled(connector, server.feed, NOW - connector.capabilities().feeds[server.feed].overlap, later)

    assert set(arrived) == set(ids)


def test_an_unchanged_server_gives_the_same_rows_again(server, connector):
    server.seed(5, NOW)
    for feed in connector.capabilities().feeds:
        first = canonical(list(connector.pull(feed, NOW - HOUR, NOW)))
        second = canonical(list(server.connect(server.options()).pull(feed, NOW - HOUR, NOW)))

        assert first == second


def test_rows_are_json_values_of_feeds_of_the_contract_with_their_required_columns(server, connector):
    server.seed(5, NOW)
    for feed in connector.capabilities().feeds:
        for page in connector.pull(feed, NOW - HOUR, NOW):
            for landed, rows in page.records.items():
                for row in rows:
                    assert landed in FEEDS
                    exact_json.encode(row)
                    missing = [name for name in FEEDS[landed].required if row.get(name) in (None, "", [])]
                    assert missing == []


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name)
def test_a_fault_that_passes_costs_nothing(server, connector, fault):
    ids = server.seed(3, NOW)
    pulled(connector, server.feed, NOW - HOUR, NOW)  # whatever login there is has been made
    server.fail_next(fault)

    assert set(pulled(connector, server.feed, NOW - HOUR, NOW)) == set(ids)


@pytest.mark.parametrize("fault", [*PASSING, Fault.REFUSED, Fault.EXPIRED], ids=lambda fault: fault.name)
def test_a_fault_that_stays_is_an_error_and_never_an_empty_success(server, connector, fault):
    server.seed(3, NOW)
    server.fail_next(fault, times=200)

    with pytest.raises(OmnilakeError) as caught:
        pulled(connector, server.feed, NOW - HOUR, NOW)
    if fault is Fault.EXPIRED:
        assert isinstance(caught.value, CredentialsError)
    if fault is Fault.REFUSED:
        assert isinstance(caught.value, RefusedError | CredentialsError)


def test_an_expired_token_is_renewed_or_told(server, connector):
    ids = server.seed(3, NOW)
    pulled(connector, server.feed, NOW - HOUR, NOW)
    server.fail_next(Fault.EXPIRED)
    try:
        arrived = pulled(connector, server.feed, NOW - HOUR, NOW)
    except CredentialsError:
        arrived = ids

    assert set(arrived) == set(ids)
    server.heal()
    assert set(pulled(connector, server.feed, NOW - HOUR, NOW)) == set(ids)


def test_no_text_shows_a_secret_or_a_body(server, connector, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    server.seed(3, NOW)
    texts = [repr(connector), repr(server.options())]
    for fault in Fault:
        server.heal()
        server.fail_next(fault, times=200)
        try:
            list(connector.pull(server.feed, NOW - HOUR, NOW))
        except OmnilakeError as error:
            texts += [str(error), repr(error), repr(error.__cause__)]
        texts += [repr(check) for check in connector.check()]
    texts += [caplog.text, *capfd.readouterr()]
    together = " ".join(texts)

    assert server.secrets
    for secret in (*server.secrets, "13912345678"):
        assert secret not in together


def test_a_check_tells_good_credentials_from_refused_ones_and_from_a_server_that_is_down(server, connector):
    assert all(check.ok for check in connector.check())

    server.fail_next(Fault.EXPIRED, times=200)
    refused = server.connect(server.options()).check()
    server.heal()
    server.fail_next(Fault.RESET, times=200)
    down = server.connect(server.options()).check()

    assert any(not check.ok and check.remedy for check in refused)
    assert any(not check.ok and check.remedy for check in down)


def test_single_records_are_fetched_as_they_are_now_and_unknown_ids_are_left_out(server, connector):
    if server.feed not in connector.capabilities().fetches:
        pytest.skip("fetches no single records")
    ids = server.seed(3, NOW)
    before = connector.fetch(server.feed, ids[:1])
    with server.lock:
        server.move(ids[0], NOW + HOUR)
    after = connector.fetch(server.feed, ids[:2])

    assert set(keys(server.feed, [after])) == set(ids[:2])
    assert canonical([before]) != canonical([Page({server.feed: [after.records[server.feed][0]]})])


def test_a_fetched_record_equals_the_pulled_one(server, connector):
    if server.feed not in connector.capabilities().fetches:
        pytest.skip("fetches no single records")
    ids = server.seed(2, NOW)

    assert set(canonical([connector.fetch(server.feed, ids)])) <= set(
        canonical(list(connector.pull(server.feed, NOW - HOUR, NOW)))
    )


def test_a_webhook_is_taken_only_with_its_signature_over_the_raw_body(server, connector):
    signed = server.webhook(server.seed(1, NOW)[0])
    assert (signed is not None) == connector.capabilities().has_webhooks
    if signed is None:
        pytest.skip("has no webhooks")
    events = connector.verify_webhook(signed.headers, signed.body, signed.query)

    assert events
    assert all(event.feed in FEEDS and event.source_id and event.event_id for event in events)
    assert events == connector.verify_webhook(signed.headers, signed.body, signed.query)
    for wrong in (
        replace(signed, body=signed.body + b" "),
        replace(signed, body=b""),
        replace(signed, headers={}, query={}),
        replace(signed, headers={name: "é" + value[1:] for name, value in signed.headers.items()}, query={}),
    ):
        with pytest.raises(BadSignatureError) as caught:
            connector.verify_webhook(wrong.headers, wrong.body, wrong.query)
        assert not any(secret in str(caught.value) for secret in server.secrets)


def test_without_a_webhook_secret_no_webhook_is_taken(server):
    options = server.options()
    without = replace(options, secrets={k: v for k, v in options.secrets.items() if "webhook" not in k})
    signed = server.webhook(server.seed(1, NOW)[0])
    if signed is None or without.secrets == options.secrets:
        pytest.skip("signs webhooks with no secret of their own")

    with pytest.raises(BadSignatureError):
        server.connect(without).verify_webhook(signed.headers, signed.body, signed.query)


def test_a_wrong_setting_is_found_at_start_by_name(server):
    options = server.options()
    with pytest.raises(ConfigurationError, match=r"'mall'.*urll"):
        server.connect(replace(options, settings={**options.settings, "urll": "https://shop.example"}))
    for name in options.settings:
        with pytest.raises(ConfigurationError, match=rf"'mall'.*{name}"):
            server.connect(replace(options, settings={**options.settings, name: {"no": "setting"}}))
    with pytest.raises(ConfigurationError, match=r"'mall'.*_env"):
        server.connect(replace(options, secrets={}))


def test_what_is_pulled_is_accepted_by_ingest_and_a_second_pull_lands_nothing(server, connector, settings):
    ids = server.seed(5, NOW)
    path = settings.home / "reference" / "channels.yml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump({"channels": [{"id": "mall", "kind": "pc_web", "since": "2026-03-30"}]}))
    channels = load_channels(settings)
    with state(settings) as engine:
        first = pull_all(settings, channels, engine, NOW + timedelta(minutes=1), connectors={"mall": connector})
        again = server.connect(server.options())
        second = pull_all(settings, channels, engine, NOW + timedelta(minutes=2), connectors={"mall": again})
        with single_writer(settings):
            report = load_landing(settings, channels, engine, "run")

    assert [(feed.feed, feed.error) for feed in first.failures + second.failures] == []
    assert (first.landed >= len(ids), second.landed) == (True, 0)
    assert report.rows_received == first.landed
    assert {batch.feed: batch.rows_quarantined for batch in report.batches if batch.rows_quarantined} == {}
