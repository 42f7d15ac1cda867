"""What is said when a version of a model takes over from another, or is tried beside it (``messages``: onto the wire).

supervisor → inference process    LoadNetworks ShadowNetworks
inference process → supervisor    NetworksLoaded ShadowFailed
supervisor → stream process       UseModel
stream process → supervisor       ShadowReport
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.configuration import StagesConfig
from service.processes.messages import message
from service.versions.tally import ShadowTally


@message("load_networks")
@dataclass(frozen=True, slots=True)
class LoadNetworks:
    """Load a version beside the one that serves. Both: name of the full network, and of the lighter one or ""."""

    request: int
    serving: tuple[str, str]
    wanted: tuple[str, str]


@message("networks_loaded")
@dataclass(frozen=True, slots=True)
class NetworksLoaded:
    """``problem``: why they are not; empty where they are ready to answer."""

    request: int
    problem: str = ""


@message("shadow_networks")
@dataclass(frozen=True, slots=True)
class ShadowNetworks:
    """Networks that are tried, by the name of the one whose clips they see as well; all of them from now on."""

    pairs: Mapping[str, str]


@message("shadow_failed")
@dataclass(frozen=True, slots=True)
class ShadowFailed:
    """A network that was to be tried cannot be."""

    network: str
    reason: str


@message("use_model")
@dataclass(frozen=True, slots=True)
class UseModel:
    """The stream goes on with the networks that ``stages`` names; those of ``shadow`` are tried beside them."""

    stages: StagesConfig
    shadow: StagesConfig | None = None


@message("shadow_report")
@dataclass(frozen=True, slots=True)
class ShadowReport:
    """What trying a version found since the last report."""

    tally: ShadowTally
