"""Starting the dashboards: the Streamlit command line and the process.

Belongs here: address, port and environment of the server. Looks are `.streamlit/config.toml`; pages are
`dashboards/app`. Streamlit runs in a process of its own, so nothing of it is imported here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

from pipelines.errors import ConfigurationError
from pipelines.settings import REPOSITORY, Settings

ADDRESS = "127.0.0.1"
_APP = Path(__file__).resolve().parent / "web.py"


def command(port: int = 8501) -> list[str]:
    """The command line that serves the pages on this machine alone, without usage statistics.

    Headless, for else Streamlit asks for an e-mail address first and advertises its tools to developers on every page.
    """
    return [
        sys.executable, "-m", "streamlit", "run", str(_APP),
        "--server.address", ADDRESS,
        "--server.port", str(port),
        "--server.headless", "true",
        "--server.fileWatcherType", "none",
        "--browser.gatherUsageStats", "false",
        "--browser.serverAddress", ADDRESS,
        "--client.toolbarMode", "minimal",
        "--client.showErrorDetails", "none",
    ]  # fmt: skip


def environment(settings: Settings) -> dict[str, str]:
    """The server's environment: this one, with the home the pages read."""
    return os.environ | {"OMNILAKE_HOME": str(settings.home), "PYTHONUNBUFFERED": "1"}


def launch(settings: Settings, port: int = 8501, open_browser: bool = False) -> int:
    """Serve the pages until interrupted; returns the server's exit code, 0 after Ctrl-C.

    Raises ConfigurationError if the port is no port or is taken.
    """
    check_port(port)
    server = subprocess.Popen(command(port), env=environment(settings), cwd=REPOSITORY)
    try:
        if open_browser and _answers(port, server):
            webbrowser.open(f"http://{ADDRESS}:{port}")
        return server.wait()
    except KeyboardInterrupt:
        # The terminal has sent the signal to the server too.
        server.wait()
        return 0
    finally:
        if server.poll() is None:
            server.terminate()


def _answers(port: int, server: subprocess.Popen[bytes]) -> bool:
    """Wait until the server listens; False if it ended before."""
    while server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((ADDRESS, port)) == 0:
                return True
        time.sleep(0.1)
    return False


def check_port(port: int) -> None:
    """Raise ConfigurationError unless a server can listen there."""
    if not 1 <= port <= 65535:
        raise ConfigurationError(f"--port {port} is not a port; give a number from 1 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} on {ADDRESS} cannot be used ({error.strerror}); name another with --port."
            ) from error
