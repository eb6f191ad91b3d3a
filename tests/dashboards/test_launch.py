from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dashboards import launch as launching
from dashboards.launch import ADDRESS, check_port, command, environment, launch
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings


def test_the_server_listens_on_this_machine_alone_and_reports_to_nobody() -> None:
    line = " ".join(command(8600))
    assert f"--server.address {ADDRESS} --server.port 8600 --server.headless true" in line
    assert "--browser.gatherUsageStats false" in line
    assert Path(command(8600)[4]).is_file()


def test_the_browser_opens_once_the_server_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listening = "import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(1)"
    with socket.socket() as free:
        free.bind((ADDRESS, 0))
        port = free.getsockname()[1]
    opened: list[str] = []
    monkeypatch.setattr(launching, "command", lambda port: [sys.executable, "-c", listening.format(port=port)])
    monkeypatch.setattr(launching.webbrowser, "open", opened.append)

    assert launching.launch(Settings(home=tmp_path), port, open_browser=True) == 0
    assert opened == [f"http://127.0.0.1:{port}"]

    monkeypatch.setattr(launching, "command", lambda _port: [sys.executable, "-c", "raise SystemExit(3)"])
    assert launching.launch(Settings(home=tmp_path), port, open_browser=True) == 3
    assert len(opened) == 1


def test_the_server_reads_the_home_it_is_given(tmp_path: Path) -> None:
    assert environment(Settings(home=tmp_path))["OMNILAKE_HOME"] == str(tmp_path)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_number_that_is_no_port_is_a_configuration_error(port: int) -> None:
    with pytest.raises(ConfigurationError, match="--port"):
        check_port(port)


def test_a_taken_port_is_said_before_a_server_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match=r"cannot be used .*--port"):
            launch(Settings(home=tmp_path), taken.getsockname()[1])


def test_launching_imports_no_streamlit() -> None:
    """The command line stays quick for those who never open a page."""
    code = "import sys, dashboards.launch; sys.exit('streamlit' in sys.modules or 'dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_pages_import_neither_dagster_nor_dbt_nor_altair_before_a_chart_is_drawn() -> None:
    code = (
        "import sys, dashboards.app, dashboards.views.overview, dashboards.views.customers, dashboards.views.health; "
        "sys.exit(', '.join({'dagster', 'dbt', 'altair'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
