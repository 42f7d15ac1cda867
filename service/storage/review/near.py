"""Events that only just became ones: their highest confidence is little above what it took."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, literal, true

from pipeline.actions import Evidence
from service.storage.records import EventRecord
from service.storage.tables import EventRow

NEAR = 0.15  # of confidence above the threshold
USUAL = Evidence.on
MOST = 200  # thresholds of their own that a query asks for; others count as the usual one


@dataclass(frozen=True, slots=True)
class Special:
    """A threshold that is not the usual one: of a stream's action, or of a model's."""

    action: str
    threshold: float
    stream_id: str | None = None
    model: str | None = None

    def fits(self, event: EventRecord) -> bool:
        of_stream = self.stream_id is None or self.stream_id == event.stream_id
        return of_stream and self.action == event.action and (self.model is None or self.model == event.model)

    @property
    def condition(self) -> ColumnElement[bool]:
        stream = true() if self.stream_id is None else EventRow.stream_id == self.stream_id
        model = true() if self.model is None else EventRow.model == self.model
        return and_(stream, model, EventRow.action == self.action)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """``specials``: those of streams before those of models, at most MOST count."""

    specials: tuple[Special, ...] = ()
    usual: float = USUAL

    def near(self, event: EventRecord) -> bool:
        threshold = next((each.threshold for each in self.specials[:MOST] if each.fits(event)), self.usual)
        return event.peak_confidence < threshold + NEAR

    @property
    def condition(self) -> ColumnElement[bool]:
        """The same of a row."""
        usual = literal(self.usual)
        cases = [(each.condition, literal(each.threshold)) for each in self.specials[:MOST]]
        return EventRow.peak_confidence < (case(*cases, else_=usual) if cases else usual) + NEAR
