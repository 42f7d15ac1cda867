"""The progress bar of every command that takes a while."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm


class ProgressBar:
    """How far things are, on standard error, as long as it is entered. ``quiet`` shows nothing.

    One that ``stays`` is there from the beginning and left standing at the end. Without it a bar comes with the first
    news of each ``step``, and goes with the last.
    """

    def __init__(self, unit: str, quiet: bool, name: str = "", *, stays: bool = True) -> None:
        self._unit = unit
        self._quiet = quiet
        self._name = name
        self._stays = stays
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> ProgressBar:
        if self._stays:
            self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """``done`` of ``total`` units; a ``note`` stands above the bar."""
        bar = self._begin(total) if self._bar is None else self._bar
        if bar.total != total:
            bar.total = total
            bar.refresh()
        bar.update(done - bar.n)
        if note and not self._quiet:
            self._print(note)

    def step(self, name: str, done: int, total: int | None) -> None:
        """The same of one step, by name, of several."""
        if name != self._name:
            self._name = name
            if not self._stays:
                self._end()
            elif self._bar is not None:
                self._bar.set_description(name, refresh=False)
        self(done, total)

    def say(self, text: object) -> None:
        """A line of the command's output, above the bar; it ends a step whose bar does not stay."""
        if not self._stays:
            self._end()
        self._print(text)

    def _begin(self, total: int | None = None) -> tqdm[Any]:
        self._bar = tqdm(
            total=total,
            unit=self._unit,
            desc=self._name or None,
            disable=self._quiet,
            leave=self._stays,
            dynamic_ncols=True,
        )
        return self._bar

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None

    @staticmethod
    def _print(text: object) -> None:
        with tqdm.external_write_mode():  # takes the bar away and draws it again below
            print(text, flush=True)
