"""``actoscope serve`` that cannot begin; what it does when it can is tests/e2e's."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.service.commands.command_line import check_one_line, run


def test_serve_on_a_port_in_use_says_so_before_it_starts_anything(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        check_one_line(run(tmp_path, "serve", "--port", port), "127.0.0.1", port, "already in use", "--port")


def test_serve_on_an_address_that_is_not_ours_says_so(tmp_path: Path):
    # 192.0.2.0/24 is for documentation: no machine has it (RFC 5737).
    check_one_line(run(tmp_path, "serve", "--host", "192.0.2.1"), "192.0.2.1", "Cannot assign requested address")
