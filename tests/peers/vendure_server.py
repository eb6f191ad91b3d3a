"""A real Vendure on 127.0.0.1: installed once into .peers/, seeded, reset from a template database, stopped.

Belongs here: the server's life, and the two clients with which a test plays shopper and clerk. They share no line with
omnilake's own: what one gets wrong, the other shows.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import httpx

from tests.peers.errors import CannotBeHadError
from tests.peers.postgres import Postgres, free_port

HERE = Path(__file__).resolve().parent / "vendure"
CACHE = Path(__file__).resolve().parents[2] / ".peers" / "vendure"
ADMIN, PASSWORD = "superadmin", "superadmin-of-the-test-mall"
WEBHOOK_SECRET = "webhook-secret-of-the-test-mall"
NODE_MAJOR = 20
INSTALL_SECONDS, SEED_SECONDS, START_SECONDS = 600, 120, 60

_ORDER = "__typename ... on Order { id code state totalWithTax couponCodes } ... on ErrorResult { errorCode message }"


def install() -> Path:
    """The folder of the installed packages, as package-lock.json pins them. Raises CannotBeHadError."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise CannotBeHadError("Node.js and npm are not installed (Debian: apt-get install nodejs npm)")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < NODE_MAJOR:
        raise CannotBeHadError(f"Vendure needs Node.js {NODE_MAJOR} or later; this is {version}")
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = CACHE / digest
    if not (folder / "installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        # Install scripts are not needed (bcrypt brings its binary) and not run.
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS,
                                  check=False)  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise CannotBeHadError(f"npm ci took more than {INSTALL_SECONDS} s; is the registry reachable?") from error
        if done.returncode:
            raise CannotBeHadError(f"npm ci failed: {done.stderr.strip()[-500:]}")
        (folder / "installed").touch()
    return folder / "node_modules"


class GraphQL:
    """A client of one API, as one browser: keeps the token that the server answers."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.Client(trust_env=False, timeout=30)

    def __call__(self, document: str, /, **variables: Any) -> Any:
        """The data of one operation; an error of the server fails the test."""
        reply = self._client.post(self._url, json={"query": document, "variables": variables})
        answer = reply.json()
        if token := reply.headers.get("vendure-auth-token"):
            self._client.headers["authorization"] = f"Bearer {token}"
        assert "errors" not in answer, answer
        return answer["data"]

    def close(self) -> None:
        self._client.close()


class Vendure:
    """A running mall; a context manager that stops it.

    url: of the server. admin: a client that is logged in. webhook_port: where its webhooks go, on 127.0.0.1.
    """

    def __init__(self, postgres: Postgres, webhook_path: str = "/v1/webhooks/mall") -> None:
        self._modules = install()
        self._postgres = postgres
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.webhook_port = free_port()
        self._webhook_path = webhook_path
        self._process: subprocess.Popen[bytes] | None = None
        self._log = CACHE / "server.log"
        self.admin: GraphQL
        postgres.create("mall_template")
        self._run("seed.js", "mall_template", SEED_SECONDS)
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def reset(self) -> None:
        """A mall as it was seeded, without shoppers and orders."""
        self.stop()
        self._postgres.create("mall", "mall_template")
        self.start()

    def start(self) -> None:
        """Serve, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["node", "start.js"], cwd=HERE, env=self._environment("mall"), stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Vendure did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.2)
        self._log_in()

    def stop(self) -> None:
        """Stop serving; the database stays."""
        if self._process is not None:
            self.admin.close()
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def empty(self) -> None:
        """Without shoppers, orders, promotions and groups, while it serves: much faster than `reset`. Ids go on, since
        the server remembers things by id, and so do the users: an e-mail address can register once."""
        self.sql("""
            truncate "order", customer, promotion, stock_movement, session cascade;
            delete from customer_group;
            update stock_level set "stockAllocated" = 0
        """)
        self._log_in()

    def sql(self, statement: str) -> list[list[str]]:
        """Rows of the mall's own database, as text."""
        return self._postgres.query("mall", statement)

    def shop(self) -> GraphQL:
        """A new visitor of the shop."""
        return GraphQL(f"{self.url}/shop-api")

    def member(self, email: str, phone: str, first: str = "三", last: str = "张") -> tuple[str, GraphQL]:
        """A registered shopper who is logged in: customer id and client."""
        shop = self.shop()
        person = {"emailAddress": email, "firstName": first, "lastName": last, "phoneNumber": phone,
                  "password": "password-of-a-shopper"}  # fmt: skip
        shop("mutation ($i: RegisterCustomerInput!) { registerCustomerAccount(input: $i) { __typename } }", i=person)
        login = "mutation ($u: String!, $p: String!) { login(username: $u, password: $p) { __typename } }"
        assert shop(login, u=email, p=person["password"])["login"]["__typename"] == "CurrentUser"
        return shop("{ activeCustomer { id } }")["activeCustomer"]["id"], shop

    def variant(self, sku: str) -> str:
        """The id of a product variant."""
        query = "query ($s: String!) { productVariants(options: {filter: {sku: {eq: $s}}}) { items { id } } }"
        return str(self.admin(query, s=sku)["productVariants"]["items"][0]["id"])

    def fill(self, shop: GraphQL, items: dict[str, int], code: str | None = None) -> dict[str, Any]:
        """Put items into the cart, and a coupon code; the answer to the last step."""
        answer: dict[str, Any] = {}
        for sku, quantity in items.items():
            add = (
                f"mutation ($v: ID!, $n: Int!) {{ addItemToOrder(productVariantId: $v, quantity: $n) {{ {_ORDER} }} }}"
            )
            answer = shop(add, v=self.variant(sku), n=quantity)["addItemToOrder"]
            assert answer["__typename"] == "Order", answer
        if code is not None:
            apply = f"mutation ($c: String!) {{ applyCouponCode(couponCode: $c) {{ {_ORDER} }} }}"
            answer = shop(apply, c=code)["applyCouponCode"]
        return answer

    def check_out(self, shop: GraphQL, guest: dict[str, str] | None = None) -> dict[str, Any]:
        """Give an address, choose the shipping and pay: the placed order. guest: the customer of a visitor."""
        if guest is not None:
            named = f"mutation ($i: CreateCustomerInput!) {{ setCustomerForOrder(input: $i) {{ {_ORDER} }} }}"
            assert shop(named, i=guest)["setCustomerForOrder"]["__typename"] == "Order"
        address = {"fullName": "张三", "streetLine1": "南京路1号", "city": "上海", "countryCode": "CN"}
        shop("mutation ($a: CreateAddressInput!) { setOrderShippingAddress(input: $a) { __typename } }", a=address)
        method = shop("{ eligibleShippingMethods { id } }")["eligibleShippingMethods"][0]["id"]
        shop("mutation ($m: [ID!]!) { setOrderShippingMethod(shippingMethodId: $m) { __typename } }", m=[method])
        shop('mutation { transitionOrderToState(state: "ArrangingPayment") { __typename } }')
        pay = f'mutation {{ addPaymentToOrder(input: {{method: "refundable", metadata: {{}}}}) {{ {_ORDER} }} }}'
        placed: dict[str, Any] = shop(pay)["addPaymentToOrder"]
        assert placed["__typename"] == "Order", placed
        return placed

    def buy(
        self, shop: GraphQL, items: dict[str, int], code: str | None = None, guest: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Fill the cart and check out: the placed order."""
        self.fill(shop, items, code)
        return self.check_out(shop, guest)

    def order(self, order_id: str) -> dict[str, Any]:
        """An order with its lines and payments, as the clerk sees it."""
        query = """query ($id: ID!) { order(id: $id) {
            id state updatedAt totalWithTax lines { id quantity proratedLinePriceWithTax } payments { id amount }
        } }"""
        found: dict[str, Any] = self.admin(query, id=order_id)["order"]
        return found

    def cancel(self, order_id: str) -> None:
        """Cancel an order whole."""
        self._succeed("cancelOrder", "CancelOrderInput", {"orderId": order_id, "reason": "changed my mind"})

    def refund(self, order_id: str, quantity: int) -> dict[str, Any]:
        """Refund some pieces of an order's first line."""
        order = self.order(order_id)
        lines = [{"orderLineId": order["lines"][0]["id"], "quantity": quantity}]
        given = {"paymentId": order["payments"][0]["id"], "lines": lines, "shipping": 0, "adjustment": 0,
                 "reason": "damaged"}  # fmt: skip
        return self._succeed("refundOrder", "RefundOrderInput", given, "... on Refund { id total state }")

    def ship(self, order_id: str) -> None:
        """Ship and deliver an order whole."""
        lines = [{"orderLineId": line["id"], "quantity": line["quantity"]} for line in self.order(order_id)["lines"]]
        arguments = [{"name": "method", "value": "post"}, {"name": "trackingCode", "value": "T1"}]
        handler = {"code": "manual-fulfillment", "arguments": arguments}
        made = self._succeed("addFulfillmentToOrder", "FulfillOrderInput", {"lines": lines, "handler": handler},
                             "... on Fulfillment { id }")  # fmt: skip
        move = """mutation ($id: ID!, $s: String!) { transitionFulfillmentToState(id: $id, state: $s) {
            __typename ... on ErrorResult { errorCode message }
        } }"""
        for state in ("Shipped", "Delivered"):
            moved = self.admin(move, id=made["id"], s=state)["transitionFulfillmentToState"]
            assert moved["__typename"] == "Fulfillment", moved

    def set_customer(self, customer_id: str, **fields: Any) -> None:
        """Write custom fields of a customer, as somebody else would."""
        document = "mutation ($i: UpdateCustomerInput!) { updateCustomer(input: $i) { __typename } }"
        self.admin(document, i={"id": customer_id, "customFields": fields})

    def consent(self, customer_id: str) -> None:
        """The customer agrees to advertisements."""
        self.set_customer(customer_id, marketingConsent=True)

    def customer(self, customer_id: str) -> dict[str, Any]:
        """The custom fields of a customer."""
        query = "query ($id: ID!) { customer(id: $id) { customFields { omnilakeTags omnilakeRecommendations } } }"
        fields: dict[str, Any] = self.admin(query, id=customer_id)["customer"]["customFields"]
        return fields

    def promotion_of_others(self, code: str) -> None:
        """A public promotion of the retailer's own."""
        action = {"code": "order_percentage_discount", "arguments": [{"name": "discount", "value": "5"}]}
        given = {"enabled": True, "couponCode": code, "conditions": [], "actions": [action],
                 "translations": [{"languageCode": "en", "name": "spring"}]}  # fmt: skip
        self._succeed("createPromotion", "CreatePromotionInput", given)

    def delete_promotion(self, code: str) -> None:
        """Delete every promotion with that code."""
        query = "query ($c: String!) { promotions(options: {filter: {couponCode: {eq: $c}}}) { items { id } } }"
        for promotion in self.admin(query, c=code)["promotions"]["items"]:
            self.admin("mutation ($id: ID!) { deletePromotion(id: $id) { result } }", id=promotion["id"])

    def api_key(self) -> str:
        """A new API key with every permission."""
        document = "mutation ($i: CreateApiKeyInput!) { createApiKey(input: $i) { apiKey } }"
        roles = self.admin('{ roles(options: {filter: {code: {eq: "__super_admin_role__"}}}) { items { id } } }')
        given = {"roleIds": [role["id"] for role in roles["roles"]["items"]],
                 "translations": [{"languageCode": "en", "name": "omnilake"}]}  # fmt: skip
        return str(self.admin(document, i=given)["createApiKey"]["apiKey"])

    def administrator(self, email: str, password: str, permissions: list[str]) -> None:
        """An administrator with a role of exactly those permissions."""
        channel = self.admin("{ activeChannel { id } }")["activeChannel"]["id"]
        role = {"code": email, "description": "omnilake", "permissions": permissions, "channelIds": [channel]}
        made = self.admin("mutation ($i: CreateRoleInput!) { createRole(input: $i) { id } }", i=role)["createRole"]
        person = {"firstName": "o", "lastName": "l", "emailAddress": email, "password": password,
                  "roleIds": [made["id"]]}  # fmt: skip
        self.admin("mutation ($i: CreateAdministratorInput!) { createAdministrator(input: $i) { id } }", i=person)

    def second_channel(self) -> str:
        """The token of another channel, in which nothing was sold."""
        zones = self.admin("{ zones { items { id } } }")["zones"]["items"]
        token = f"outlet-{free_port()}"
        given = {
            "code": token,
            "token": token,
            "defaultLanguageCode": "en",
            "defaultCurrencyCode": "CNY",
            "pricesIncludeTax": True,
            "defaultTaxZoneId": zones[0]["id"],
            "defaultShippingZoneId": zones[0]["id"],
        }
        self._succeed("createChannel", "CreateChannelInput", given)
        return token

    def forget_sessions(self) -> None:
        """Every session ends, in the database and in the server's memory: as a restart with an empty table does."""
        self.stop()
        self.sql("delete from session")
        self.start()

    def _succeed(self, mutation: str, input_type: str, given: dict[str, Any], selection: str = "") -> dict[str, Any]:
        document = f"""mutation ($i: {input_type}!) {{ {mutation}(input: $i) {{
            __typename {selection} ... on ErrorResult {{ errorCode message }}
        }} }}"""
        answer: dict[str, Any] = self.admin(document, i=given)[mutation]
        assert "errorCode" not in answer, answer
        return answer

    def _log_in(self) -> None:
        self.admin = GraphQL(f"{self.url}/admin-api")
        login = "mutation ($u: String!, $p: String!) { login(username: $u, password: $p) { __typename } }"
        assert self.admin(login, u=ADMIN, p=PASSWORD)["login"]["__typename"] == "CurrentUser"

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", trust_env=False, timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _run(self, script: str, database: str, seconds: int) -> None:
        done = subprocess.run(["node", script], cwd=HERE, env=self._environment(database), capture_output=True,
                              text=True, timeout=seconds, check=False)  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{script} failed: {(done.stdout + done.stderr)[-2000:]}")

    def _environment(self, database: str) -> dict[str, str]:
        return os.environ | {
            "NODE_PATH": str(self._modules),
            "MALL_PORT": str(self._port),
            "MALL_ADMIN": ADMIN,
            "MALL_PASSWORD": PASSWORD,
            "PGHOST": self._postgres.host,
            "PGPORT": str(self._postgres.port),
            "PGUSER": self._postgres.user,
            "PGDATABASE": database,
            "WEBHOOK_URL": f"http://127.0.0.1:{self.webhook_port}{self._webhook_path}",
            "WEBHOOK_SECRET": WEBHOOK_SECRET,
        }
