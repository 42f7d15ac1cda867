"""Kinds of settings: how a text of the environment becomes a value, and which ones it may be.

Each check raises ValueError with what was expected; ``settings`` names the variable.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from models.errors import StoreError
from models.runtimes.runner import parse_runtime
from models.store.address import parse_place
from service.local_time.zones import zone_named
from service.rights import Role

# Not where our own paths begin: a proxy may take the root path off or leave it.
_ROOT_PATH = re.compile(r"(?!/(?:v1|web)(?:/|$))(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-_\[\]:]+")
_BASE = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)  # a JSONDecodeError is a ValueError, which pydantic reports
    return [part.strip() for part in value.split(",") if part.strip()]


def _from_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _usual(value: Any) -> Any:
    return None if value in ("auto", "mobilenet", "") else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _each(check: Callable[[str], object]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    def checked(values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            check(value)
        return values

    return checked


def _network(value: str) -> None:
    try:
        network(value)
    except ValueError:
        raise ValueError(f"expected addresses or networks such as 10.0.0.0/8, got {value}") from None


def _origin(value: str) -> None:
    if not _ORIGIN.fullmatch(value):
        raise ValueError(f"expected origins such as https://cameras.example, got {value}")


def _root_path(value: str) -> str:
    path = value.rstrip("/")
    if path and not _ROOT_PATH.fullmatch(path):
        raise ValueError("expected a path such as /cameras: letters, digits and -._~ between slashes, not /v1 or /web")
    return path


def _header(value: str) -> str:
    if value and not _HEADER.fullmatch(value):
        raise ValueError("expected the name of a header, such as Remote-User")
    return value


def _place(value: str) -> str:
    try:
        parse_place(value)
    except StoreError as error:  # its message shows no credential
        raise ValueError(str(error)) from error
    return value


def _base_url(value: str) -> str:
    if value and not _BASE.fullmatch(value):
        raise ValueError("expected an http or https URL without a query, such as https://cameras.example")
    return value.rstrip("/")


def _page(value: str) -> str:
    if value and not value.startswith(("https://", "http://", "/")):
        raise ValueError("expected an http or https URL, or a path")
    return value


def _runtime(value: str) -> str:
    try:
        parse_runtime(value)
    except RuntimeError as error:  # its message says what there is
        raise ValueError(str(error)) from error
    return value


Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Folders = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)]
Networks = Annotated[Texts, AfterValidator(_each(_network))]
Origins = Annotated[Texts, AfterValidator(_each(_origin))]
RoleMap = Annotated[dict[Role, tuple[str, ...]], NoDecode, BeforeValidator(_from_json)]
FoundNetwork = Annotated[Path | None, BeforeValidator(_usual)]  # of pictures; the usual one is looked for
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]
RootPath = Annotated[str, AfterValidator(_root_path)]
Header = Annotated[str, AfterValidator(_header)]
StorePlace = Annotated[str, AfterValidator(_place)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Page = Annotated[str, AfterValidator(_page)]
Runtime = Annotated[str, AfterValidator(_runtime)]
ZoneName = Annotated[str, AfterValidator(lambda value: zone_named(value).key)]


def network(text: str) -> IpNetwork:
    """An address is a network of one. Raises ValueError."""
    return ipaddress.ip_network(text, strict=False)


def loopback_among(networks: Iterable[str]) -> list[IpNetwork]:
    """→ those by which programs on this machine come."""
    return [each for each in map(network, networks) if _holds_loopback(each)]


def _holds_loopback(each: IpNetwork) -> bool:
    return each.overlaps(network("127.0.0.0/8" if each.version == 4 else "::1/128"))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def node_name(host: str) -> str:
    """→ a host's name as it can stand in a topic: ``cam.lan`` → ``cam-lan``."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "-", host).strip("-")[:60] or "actoscope"
