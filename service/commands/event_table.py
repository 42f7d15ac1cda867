"""False and found events of a class against the threshold, as a printed table."""

from __future__ import annotations

from models.evaluation.figures.bootstrap import Interval
from models.evaluation.videos.event_curve import CurvePoint, EventCurve, FoundShare
from service.commands.printing import say, show_table


def show_curve(curve: EventCurve) -> None:
    calm = f"{curve.calm_videos} videos without it, {curve.calm_hours:.2f} hours"
    say(f"\n{curve.label}: {calm}; the service's own threshold first")
    show_table([_heading(curve.default), *(_row(point) for point in (curve.default, *curve.points))])
    say("")


def _heading(point: CurvePoint) -> tuple[str, ...]:
    kinds = tuple(f"{kind.kind} ({kind.hours:.2f} h)" for kind in point.kinds)
    found = tuple(
        text
        for name, share in (("actions", point.actions), ("videos", point.videos))
        if share is not None
        for text in (f"of {share.count} {name}", "delay p50", "p90")
    )
    return ("threshold", "false", "an hour", *kinds, *found)


def _row(point: CurvePoint) -> tuple[str, ...]:
    kinds = tuple(str(kind.false_events) for kind in point.kinds)
    found = tuple(text for share in (point.actions, point.videos) if share for text in _found(share))
    return (f"{point.threshold:.2f}", str(point.false_events), _ranged(point.false_per_hour, 1), *kinds, *found)


def _found(share: FoundShare) -> tuple[str, str, str]:
    delays = (share.delay_p50_s, share.delay_p90_s)
    p50, p90 = ("" if delay is None else f"{delay:.2f} s" for delay in delays)
    return _ranged(share.share, 2), p50, p90


def _ranged(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return ""
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
