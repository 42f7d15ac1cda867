"""Messages of the scripted child processes, which both they and the tests that start them import."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.processes.messages import ChildSetup, message


@message("test_setup")
@dataclass(frozen=True, kw_only=True)
class ScriptedSetup(ChildSetup):
    """``script``: what to do; ``secret``: what must show nowhere."""

    log_level: str = "info"
    log_format: str = "text"
    script: str = ""
    secret: str = field(default="", repr=False)


@message("test_ready")
@dataclass(frozen=True, slots=True)
class Ready:
    secret: str
    arguments: tuple[str, ...]


@message("test_bye")
@dataclass(frozen=True, slots=True)
class Bye:
    pass
