"""A running Odoo with point of sale, loyalty and stock, on 127.0.0.1, and a client of the tests' own for it.

Belongs here: the template database, starting, stopping, resetting, the tests' calls. Does not belong here: what shops
sell in it (shop). The client shares no line with the connector, so that one can't hide the other's faults.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.peers.errors import CannotBeHadError
from tests.peers.odoo.install import FOLDER, Installation, install
from tests.peers.postgres import Postgres, free_port
from tests.peers.postgres import install as install_postgres

MODULES = "point_of_sale,loyalty,pos_loyalty,stock,account"
_TEMPLATE = "template_till"
_KEYS = """
groups = ("base.group_user", "base.group_partner_manager", "point_of_sale.group_pos_manager", "stock.group_stock_user",
          "product.group_product_manager")
groups = [env.ref(name).id for name in groups]
user = env["res.users"].create({"name": "omnilake", "login": "omnilake", "group_ids": [(6, 0, groups)]})
for name, number in (("ADMIN", 2), ("OMNILAKE", user.id)):
    print(name + "=" + env["res.users.apikeys"].with_user(number).sudo()._generate(None, "tests", None))
env.cr.commit()
"""
"""For Odoo's shell: keys of the administrator, and of a user with the rights that docs/platforms/odoo.md asks for."""


@dataclass(frozen=True)
class Keys:
    """API keys, never shown. admin: for the tests themselves. omnilake: for what is tested."""

    admin: str = field(repr=False)
    omnilake: str = field(repr=False)


class Odoo:
    """The server. `start` gives it a fresh database, as does `reset`, in a few seconds."""

    def __init__(self, postgres: Postgres) -> None:
        self.installation: Installation = install()
        self.postgres = postgres
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = "till"
        self._folder = Path(tempfile.mkdtemp(prefix="omnilake-odoo-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.keys = self._template()

    def reset(self) -> None:
        """A database as it was just after installing. Its sequences of signals differ from what the server remembers,
        so it looks at everything anew."""
        self.postgres.create(self.database, template=_TEMPLATE)

    def start(self) -> None:
        self.reset()
        with (self._folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command("server", "--http-interface", "127.0.0.1", "--http-port", str(self.port)),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env=self._environment(),
            )  # fmt: skip
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.url}/web/health", timeout=5, trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.2)
        log = (self._folder / "server.log").read_text(errors="replace")
        self.stop()
        raise CannotBeHadError(f"Odoo does not start: {log[-300:]}")

    def stop(self) -> None:
        """End the server and whatever it started, at once: nothing that it holds is worth waiting for."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def client(self) -> OdooClient:
        """A client with the administrator's key."""
        return OdooClient(self.url, self.database, self.keys.admin)

    def sql(self, statement: str) -> list[list[str]]:
        """Rows of a statement on the current database, as text."""
        return self.postgres.query(self.database, statement)

    def _template(self) -> Keys:
        """Make the template database in this PostgreSQL, from a dump if there is one."""
        kept = self._kept()
        keys = kept.with_suffix(".keys")
        self.postgres.create(_TEMPLATE)
        if not kept.exists():
            self._odoo("server", "-d", _TEMPLATE, "-i", MODULES, "--stop-after-init", "--no-http")
            answer = self._odoo("shell", "-d", _TEMPLATE, "--no-http", stdin=_KEYS)
            keys.touch(0o600)
            keys.write_text("\n".join(re.findall(r"^(?:ADMIN|OMNILAKE)=(\S+)$", answer, re.MULTILINE)))
            part = kept.with_suffix(".part")
            self._postgres_program("pg_dump", "-Fc", "-Z1", "-f", part, self.postgres.url(_TEMPLATE))
            part.rename(kept)
        else:
            self._postgres_program("pg_restore", "-j2", "-d", self.postgres.url(_TEMPLATE), kept)
        return Keys(*keys.read_text().split())

    def _kept(self) -> Path:
        made_of = f"{self.installation.version} {MODULES} {_KEYS}"
        return FOLDER / f"template-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}.dump"

    def _postgres_program(self, name: str, *arguments: object) -> None:
        program = install_postgres()["psql"].with_name(name)
        done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotBeHadError(f"{name} failed: {done.stderr.strip()[-300:]}")

    def _odoo(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            self._command(*arguments), input=stdin, capture_output=True, text=True, check=False, timeout=900,
            env=self._environment(),
        )  # fmt: skip
        if done.returncode:
            raise CannotBeHadError(f"odoo {arguments[0]} failed: {done.stderr.strip()[-300:]}")
        return done.stdout

    def _command(self, command: str, *arguments: str) -> list[str]:
        return [
            str(self.installation.python), "-m", "odoo", command, "--config", str(self._configuration()), *arguments,
        ]  # fmt: skip

    def _configuration(self) -> Path:
        path = self._folder / "odoo.conf"
        path.write_text(
            f"[options]\ndb_host = 127.0.0.1\ndb_port = {self.postgres.port}\ndb_user = {self.postgres.user}\n"
            f"db_password = none\ndata_dir = {self._folder / 'data'}\nlist_db = False\nmax_cron_threads = 0\n"
            "workers = 0\nlog_level = warn\n"
        )
        return path

    def _environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(self.installation.source), "HOME": str(self._folder), "TZ": "UTC"}


class OdooClient:
    """Calls as a person with an API key makes them. An answer that is no success raises, with the server's words."""

    def __init__(self, url: str, database: str, key: str) -> None:
        self.key = key
        self._http = httpx.Client(
            base_url=url, timeout=120, trust_env=False,
            headers={"Authorization": f"bearer {key}", "X-Odoo-Database": database},
        )  # fmt: skip

    def __call__(self, model: str, method: str, **arguments: Any) -> Any:
        # Odoo's own numbers are floats: a till sends them so too.
        content = json.dumps(arguments, default=float)
        headers = {"Content-Type": "application/json"}
        answer = self._http.post(f"/json/2/{model}/{method}", content=content, headers=headers)
        if answer.status_code != 200:
            raise AssertionError(f"{model}.{method} answered {answer.status_code}: {answer.text[:600]}")
        return answer.json()

    def create(self, model: str, **values: Any) -> int:
        """One new record; its id."""
        created: list[int] = self(model, "create", vals_list=[values])
        return created[0]

    def find(self, model: str, domain: list[Any], fields: list[str]) -> list[dict[str, Any]]:
        """Records in the order of their ids, archived ones too."""
        context = {"active_test": False}
        found: list[dict[str, Any]] = self(
            model, "search_read", domain=domain, fields=fields, order="id", context=context
        )
        return found
