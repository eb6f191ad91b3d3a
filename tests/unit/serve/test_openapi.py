"""The OpenAPI document: complete, and what is answered is what it says."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from starlette.testclient import TestClient

from pipelines.keys import Keys
from pipelines.settings import Settings
from tests.unit.serve.conftest import HOOK_SECRET, SECRET, sign
from tests.unit.serve.lookup_snapshots import publish_snapshot

MALL = {"X-API-Key": "key of the mall"}
BODY = b'{"id": "O1", "event": "E1"}'
ROWS = b'[{"order_id": "1"}]'


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    return client.get("/openapi.json").json()


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_in_the_document_with_its_name_and_words(document: dict[str, Any]) -> None:
    found = operations(document)
    assert {name: operation["operationId"] for name, operation in found.items()} == {
        "post /v1/webhooks/{channel}": "takeWebhook",
        "get /v1/webhooks/{channel}": "answerChallenge",
        "post /v1/webhooks/{channel}/{feed}": "takeRows",
        "get /v1/customers/{channel}/{member_id}": "findCustomer",
        "get /v1/recommendations/{channel}/{member_id}": "findRecommendations",
        "get /v1/health": "health",
    }
    assert all(operation["summary"] and operation["description"] for operation in found.values())


def test_every_parameter_of_a_path_is_described_with_an_example(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        described = {one["name"]: one for one in operation.get("parameters", []) if one["in"] == "path"}
        assert set(described) == set(re.findall(r"\{(\w+)\}", name)), name
        assert all(one["description"] and one["schema"]["examples"] for one in described.values()), name


def test_look_ups_and_rows_say_what_they_want_to_see(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert {name: scheme["name"] for name, scheme in schemes.items()} == {
        "lookupKey": "X-API-Key",
        "signature": "X-Omnilake-Signature",
    }
    secured = {name: operation.get("security") for name, operation in operations(document).items()}
    assert secured["get /v1/customers/{channel}/{member_id}"] == [{"lookupKey": []}]
    assert secured["post /v1/webhooks/{channel}/{feed}"] == [{"signature": []}]
    assert secured["get /v1/health"] is None


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in re.findall(r"#/components/schemas/(\w+)", str(document)):
        assert reference in document["components"]["schemas"]


def test_answers_are_what_the_document_says(
    client: TestClient, document: dict[str, Any], settings: Settings, keys: Keys
) -> None:
    publish_snapshot(settings, keys)
    signed = {"X-Signature": sign(BODY, SECRET)}
    rows = {"X-Omnilake-Signature": sign(ROWS, HOOK_SECRET)}
    calls = [
        ("get /v1/customers/{channel}/{member_id}", client.get("/v1/customers/mall/M2", headers=MALL)),
        ("get /v1/customers/{channel}/{member_id}", client.get("/v1/customers/mall/M3", headers=MALL)),
        ("get /v1/customers/{channel}/{member_id}", client.get("/v1/customers/mall/M2")),
        ("get /v1/customers/{channel}/{member_id}", client.get("/v1/customers/pos/M2", headers=MALL)),
        ("get /v1/customers/{channel}/{member_id}", client.get("/v1/customers/mall/M2?limit=0", headers=MALL)),
        ("get /v1/recommendations/{channel}/{member_id}", client.get("/v1/recommendations/mall/M2", headers=MALL)),
        ("get /v1/recommendations/{channel}/{member_id}", client.get("/v1/recommendations/mall/x", headers=MALL)),
        ("get /v1/health", client.get("/v1/health")),
        ("post /v1/webhooks/{channel}", client.post("/v1/webhooks/mall", content=BODY, headers=signed)),
        ("post /v1/webhooks/{channel}", client.post("/v1/webhooks/mall", content=BODY)),
        ("post /v1/webhooks/{channel}", client.post("/v1/webhooks/nowhere", content=BODY)),
        ("post /v1/webhooks/{channel}", client.post("/v1/webhooks/mall", content=b"x" * 9000)),
        ("post /v1/webhooks/{channel}/{feed}", client.post("/v1/webhooks/pos/orders", content=ROWS, headers=rows)),
    ]
    for name, response in calls:
        described = operations(document)[name]["responses"][str(response.status_code)]
        media_type = response.headers["content-type"]
        schema = described["content"][media_type]["schema"] | {"components": document["components"]}
        jsonschema.validate(response.json(), schema)
    assert sorted({response.status_code for _, response in calls}) == [200, 401, 403, 404, 413, 422]


def test_no_schema_lets_everything_pass(document: dict[str, Any]) -> None:
    customer = {"$ref": "#/components/schemas/Customer", "components": document["components"]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"customer_id": 1}, customer)
