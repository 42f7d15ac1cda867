"""``actoscope serve`` with a certificate: https, HSTS, and another certificate under way; refused websockets."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
import trustme
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.service import Service, wait_for


def write(folder: Path, leaf: trustme.LeafCert) -> tuple[Path, Path]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(leaf.cert_chain_pems[0].bytes())
    key.write_bytes(leaf.private_key_pem.bytes())
    return certificate, key


def test_service_speaks_https_and_takes_a_renewed_certificate(own_service: Service, tmp_path: Path):
    old, new = trustme.CA(), trustme.CA()
    certificate, key = write(tmp_path, old.issue_cert("127.0.0.1"))
    own_service.environment |= {"ACTOSCOPE_TLS_CERT": str(certificate), "ACTOSCOPE_TLS_KEY": str(key)}
    own_service.client.close()
    trusting, renewed = ssl.create_default_context(), ssl.create_default_context()
    old.configure_trust(trusting)
    new.configure_trust(renewed)
    own_service.url = f"https://127.0.0.1:{own_service.port}"
    own_service.client = httpx.Client(base_url=own_service.url, verify=trusting, trust_env=False, timeout=60)
    own_service.start(ready=False)
    answer = own_service.client.get("/healthz")
    assert answer.headers["strict-transport-security"] == "max-age=15552000"
    assert "actoscope_tls_certificate_expires_timestamp_seconds 3" in own_service.client.get("/metrics").text
    wait_for(lambda: f"Actoscope is at {own_service.url}" in own_service.log(), 20, "the URL is said")
    write(tmp_path, new.issue_cert("127.0.0.1"))

    def is_renewed() -> bool:
        """The connection from before is used meanwhile: a new one would be refused in the end."""
        return own_service.client.get("/healthz").status_code == 200 and _trusts(renewed, own_service.port)

    wait_for(is_renewed, 20, "the renewed certificate is shown")
    assert own_service.client.get("/healthz").status_code == 200, "the connection from before lives on"
    assert not _trusts(trusting, own_service.port)


@pytest.mark.exhaustive
def test_refused_websockets_leave_no_error_in_the_log(own_service: Service):
    own_service.start(ready=False)
    for headers in ({"Origin": "https://elsewhere.example"}, {"Authorization": "Bearer acto_00000000_" + "A" * 43}):
        url = f"ws://127.0.0.1:{own_service.port}/v1/ws"
        with pytest.raises(InvalidStatus), connect(url, proxy=None, additional_headers=headers):
            pass
    own_service.stop()
    assert " ERROR " not in own_service.log()


def _trusts(context: ssl.SSLContext, port: int) -> bool:
    with httpx.Client(verify=context, trust_env=False, timeout=60) as client:
        try:
            return client.get(f"https://127.0.0.1:{port}/healthz").status_code == 200
        except httpx.ConnectError:
            return False
