"""TLS: a server is believed with a certificate of a CA that we know, for its own name, and not otherwise."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipelines.http import Http, RefusedError


class Greeter(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """A test's server is silent."""


def certificate(folder: Path, name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None):
    """A key and a certificate for 127.0.0.1 (or a CA, without issuer), as PEM files of that name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    authority = (issuer[1] if issuer else key).public_key()
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
    if issuer:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        builder = builder.add_extension(names, critical=False)
    made = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made, key


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    certificate(tmp_path, "server", certificate(tmp_path, "ca"))
    certificate(tmp_path, "other")
    server = HTTPServer(("127.0.0.1", 0), Greeter)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_a_private_ca_that_is_named_is_believed(port: int, tmp_path: Path):
    assert Http(f"https://127.0.0.1:{port}", ca_file=tmp_path / "ca.pem").read("GET", "/").status == 200


@pytest.mark.parametrize("ca_file", [None, "other.pem"])
def test_an_unknown_ca_is_refused_once_with_the_remedy(port: int, tmp_path: Path, ca_file: str | None):
    waits: list[float] = []
    http = Http(f"https://127.0.0.1:{port}", ca_file=tmp_path / ca_file if ca_file else None, sleep=waits.append)

    with pytest.raises(RefusedError, match="ca_file") as caught:
        http.effect("POST", "/")

    assert (caught.value.code, waits) == ("certificate", [])


def test_a_certificate_for_another_name_is_refused(port: int, tmp_path: Path):
    with pytest.raises(RefusedError, match="not trusted"):
        Http(f"https://localhost:{port}", ca_file=tmp_path / "ca.pem").read("GET", "/")
