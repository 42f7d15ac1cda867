"""Whose certificates cameras must show, and what is wrong with one that is refused."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from pipeline.sources.options import SourceOptions
from pipeline.sources.url import SourceUrl

TLS_SCHEMES = ("rtsps", "https")
# Where systems keep the certificates that they trust: Debian, Fedora, openSUSE, Alpine.
_SYSTEM = (
    *("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"),
    *("/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"),
)


def is_asked_for(url: SourceUrl, options: SourceOptions) -> bool:
    return url.scheme in TLS_SCHEMES and options.tls_verify


def ca_file(options: SourceOptions) -> Path:
    """→ the file that FFmpeg is given: the operator's, else the system's. One that does not exist trusts nobody."""
    if options.ca_file is not None:
        return options.ca_file
    named = ssl.get_default_verify_paths().cafile
    known = [Path(each) for each in (named, *_SYSTEM) if each is not None]
    return next((each for each in known if each.is_file()), known[0])


def why_refused(url: SourceUrl, options: SourceOptions) -> str | None:
    """Asks the camera again, for the reason alone. → None where nothing is wrong with its certificate now."""
    place, limit_s = (str(url.host), int(url.port or 0)), options.open_timeout_s
    try:
        context = ssl.create_default_context(cafile=str(ca_file(options)))
        with (
            socket.create_connection(place, limit_s) as plain,
            context.wrap_socket(plain, server_hostname=place[0]),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except FileNotFoundError:
        return f"there is no file {ca_file(options)} of certificates to trust"
    except OSError:
        return None
