"""The peers of a whole test session: one PostgreSQL, one server of each kind, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipelines.connectors.protocol import Connector
from pipelines.connectors.vendure import connect
from tests.peers.errors import CannotBeHadError
from tests.peers.mall import options
from tests.peers.odoo.server import Odoo
from tests.peers.postgres import Postgres
from tests.peers.vendure_server import Vendure


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    try:
        server = Postgres()
    except CannotBeHadError as error:
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(scope="session")
def vendure(postgres: Postgres) -> Iterator[Vendure]:
    """One mall for the session; tests make shoppers of their own in it, or reset it."""
    try:
        server = Vendure(postgres)
    except CannotBeHadError as error:
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(scope="session")
def odoo(postgres: Postgres) -> Iterator[Odoo]:
    """One till server for the session; `reset` gives a fresh database."""
    try:
        server = Odoo(postgres)
        server.start()
    except CannotBeHadError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture
def mall(vendure: Vendure) -> Iterator[Vendure]:
    """The mall without shoppers and orders, and left so."""
    vendure.empty()
    yield vendure
    vendure.empty()


@pytest.fixture
def connector(mall: Vendure) -> Connector:
    return connect(options(mall))
