"""What a page needs besides itself: told with it, for a browser finds scripts out file by file, round after round.

There is no build step that would put them together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)">')
_OWN = re.compile(r'<script type="module" src="((?:\.\./)*web/)(\w+\.js)">')
_IMPORT = re.compile(r'\b(?:from|import)\s+"\./(\w+\.js)"')


@cache
def preloads(page: Path) -> str:
    """→ the ``Link`` header (RFC 8288) of an HTML file: its styles, which the first paint waits for, then every script
    that its own imports, whatever imports it.
    """
    html = page.read_text("utf-8")
    styles = (f"<{style}>; rel=preload; as=style" for style in _STYLE.findall(html))
    scripts = (f"<{script}>; rel=modulepreload" for script in _scripts(page.parent, html))
    return ", ".join((*styles, *scripts))


def _scripts(folder: Path, html: str) -> Iterator[str]:
    """→ as the page writes it, its own script, then the others in the order of being met."""
    for place, own in _OWN.findall(html):
        met = [own]
        for name in met:  # which grows
            text = (folder / name).read_text("utf-8")
            met += [each for each in dict.fromkeys(_IMPORT.findall(text)) if each not in met]
        yield from (f"{place}{name}" for name in met)
