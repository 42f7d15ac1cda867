"""The certificate that the service shows: exchanged under way, and what is said of one that cannot be served."""

from __future__ import annotations

import datetime
import logging
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509

from service.commands.certificate import ServedCertificate, TlsError
from service.settings import Settings, SettingsError, load_settings

CA = trustme.CA()
FUTURE = datetime.datetime(2100, 1, 1)


class Pair:
    """Certificate and key as files, written as a renewal program does: one, then the other."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"

    def write(self, cert: trustme.LeafCert) -> int:
        """→ the serial number."""
        self.write_certificate(cert)
        self.write_key(cert)
        return serial(cert)

    def write_certificate(self, cert: trustme.LeafCert) -> None:
        replace(self.certificate, b"".join(each.bytes() for each in cert.cert_chain_pems))

    def write_key(self, cert: trustme.LeafCert) -> None:
        replace(self.key, cert.private_key_pem.bytes())


def replace(path: Path, content: bytes) -> None:
    part = path.with_suffix(".new")
    part.write_bytes(content)
    part.replace(path)


def issue(**options: Any) -> trustme.LeafCert:
    return CA.issue_cert("localhost", "127.0.0.1", **options)


def serial(cert: trustme.LeafCert) -> int:
    return x509.load_pem_x509_certificate(cert.cert_chain_pems[0].bytes()).serial_number


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def served(pair: Pair) -> ServedCertificate:
    return ServedCertificate(pair.certificate, pair.key)


class Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line)


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(("127.0.0.1", 0), Echo)

    def get_request(self) -> tuple[ssl.SSLSocket, Any]:
        connection, address = super().get_request()
        return self._context.wrap_socket(connection, server_side=True), address


@contextmanager
def echo_server(context: ssl.SSLContext) -> Iterator[int]:
    """→ its port."""
    with EchoServer(context) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(5)


def connect(port: int) -> ssl.SSLSocket:
    trusting = ssl.create_default_context()
    CA.configure_trust(trusting)
    return trusting.wrap_socket(socket.create_connection(("127.0.0.1", port), 5), server_hostname="localhost")


def shown_serial(connection: ssl.SSLSocket) -> int:
    shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def says_back(connection: ssl.SSLSocket, word: bytes) -> bool:
    connection.sendall(word + b"\n")
    return connection.recv(100) == word + b"\n"


def test_new_connections_see_the_new_certificate_and_old_ones_live_on(pair: Pair):
    first = pair.write(issue())
    certificate = served(pair)
    with echo_server(certificate.context) as port, connect(port) as old:
        assert shown_serial(old) == first
        second = pair.write(issue())
        assert not certificate.look(), "changed just now, perhaps half written"
        assert certificate.look()
        with connect(port) as new:
            assert shown_serial(new) == second != first
            assert says_back(new, b"new")
        assert says_back(old, b"old")
        assert shown_serial(old) == first
    assert certificate.reloads == 1


def test_a_pair_that_is_half_written_waits_for_the_rest(pair: Pair, caplog: pytest.LogCaptureFixture):
    first, renewed = pair.write(issue()), issue()
    certificate = served(pair)
    with echo_server(certificate.context) as port:
        pair.write_certificate(renewed)
        assert not certificate.look()
        pair.write_key(renewed)
        assert not certificate.look()
        with connect(port) as between:
            assert shown_serial(between) == first
        assert certificate.look()
        with connect(port) as after:
            assert shown_serial(after) == serial(renewed)
    assert certificate.refused == 0
    assert "does not fit" not in caplog.text


@pytest.mark.parametrize("fault", ["key of another", "no certificate", "gone"])
def test_a_bad_pair_keeps_the_old_one_and_says_so_once(pair: Pair, caplog: pytest.LogCaptureFixture, fault: str):
    first = pair.write(issue())
    certificate = served(pair)
    if fault == "key of another":
        pair.write_key(issue())
    elif fault == "no certificate":
        replace(pair.certificate, b"-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    else:
        pair.key.unlink()
    with echo_server(certificate.context) as port:
        assert not any(certificate.look() for _ in range(5))
        with connect(port) as connection:
            assert shown_serial(connection) == first
            assert says_back(connection, b"on")
        said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert len(said) == 1, said
        assert "the certificate from before is served on" in said[0]
        assert str(pair.certificate) in said[0] or str(pair.key) in said[0]
        mended = pair.write(issue())
        certificate.look()
        assert certificate.look(), "a later good pair is taken"
        with connect(port) as connection:
            assert shown_serial(connection) == mended


def spoil_key(pair: Pair) -> None:
    pair.write_key(issue())


def lock_key(pair: Pair) -> None:
    pair.key.write_bytes(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda pair: pair.certificate.unlink(), "cannot read {certificate}: No such file or directory"),
        (lambda pair: pair.key.unlink(), "cannot read {key}: No such file or directory"),
        (lambda pair: pair.key.write_text(""), "expected PEM text of at most 1048576 bytes in {key}, got 0 bytes"),
        (spoil_key, "the key in {key} does not fit the certificate in {certificate}"),
        (lock_key, "the key in {key} needs a password: expected one without"),
        (lambda pair: pair.certificate.write_text("hello"), "expected a certificate as PEM in {certificate}, got none"),
        (lambda pair: pair.key.write_text("hello"), "expected a certificate in {certificate} and its key in {key}"),
    ],
)
def test_what_cannot_be_served_is_said_in_words(pair: Pair, spoil: Callable[[Pair], None], words: str):
    pair.write(issue())
    spoil(pair)
    with pytest.raises(TlsError) as caught:
        served(pair)
    assert str(caught.value).startswith(words.format(certificate=pair.certificate, key=pair.key))


@pytest.mark.parametrize(
    ("left", "said"),
    [(datetime.timedelta(days=-1), "browsers will refuse it"), (datetime.timedelta(days=3), "ends soon"), (None, "")],
)
def test_an_end_that_is_near_or_past_is_said(
    pair: Pair, caplog: pytest.LogCaptureFixture, left: datetime.timedelta | None, said: str
):
    ends = FUTURE if left is None else datetime.datetime.now(datetime.timezone.utc) + left
    begins = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=30)
    pair.write(issue(not_before=begins, not_after=ends))
    measured = served(pair).measures()["gauges"]["certificate_expires_timestamp_seconds"]
    if left is not None:
        assert abs(measured - (time.time() + left.total_seconds())) < 60
    assert said in caplog.text
    assert bool(said) == bool(caplog.records)


def test_watching_ends_when_asked(pair: Pair, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("service.commands.certificate.LOOK_S", 0.01)
    pair.write(issue())
    certificate, stop = served(pair), threading.Event()
    thread = threading.Thread(target=certificate.watch, args=(stop,))
    thread.start()
    pair.write(issue())
    deadline = time.monotonic() + 5
    while not certificate.reloads and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    thread.join(5)
    assert (certificate.reloads, thread.is_alive()) == (1, False)


@pytest.mark.parametrize("given", ["tls_cert", "tls_key"])
def test_one_without_the_other_is_a_mistake(given: str):
    with pytest.raises(SettingsError, match="TLS_CERT and TLS_KEY are given together, or neither"):
        load_settings(**{given: Path("x.pem")})
    assert Settings(tls_cert=Path("c"), tls_key=Path("k")).tls_key == Path("k")
