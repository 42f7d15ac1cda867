"""The tables of ``benchmarks/false_events.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES = {"light": "surveillance-light", "full": "surveillance"}


def markdown(report: Mapping[str, Any]) -> str:
    """One table a tier: settings in rows; below it by kind."""
    return "\n".join(_tier(NAMES[name], tier) for name, tier in report.items() if name in NAMES)


def _tier(name: str, tier: Mapping[str, Any]) -> str:
    lines = [
        f"`{name}`, {tier['videos']} videos ({tier['not_run']} not run):",
        "",
        "| Settings | false an hour | fights found (videos) | delay p50 / p90 | fighting people found | delay p50 |",
        "|---|---|---|---|---|---|",
        _row("every label's: on 0.50, 0.5 s", tier["now"]),
    ]
    goal = tier["goal"]
    lines.append(
        _row(f"goal, 2 an hour and 1.5 s: {_words(goal['setting'])}", goal["point"]) if goal else _none("goal")
    )
    for most, found in tier["at_most"].items():
        text = f"at most {most} an hour"
        lines.append(_row(f"{text}: {_words(found['setting'])}", found["point"]) if found else _none(text))
        if found and found["elsewhere"]:
            lines.append(_row("… chosen on the other folds", found["elsewhere"]))
    lines += [_row(_words(each["setting"]), each["point"]) for each in tier["as_smoothed_now"] if _is_told(each)]
    return "\n".join([*lines, "", *_kinds(tier), "", *_frames(tier["frames"])]) + "\n"


def _frames(by_seconds: Mapping[str, Any]) -> list[str]:
    lines = [
        "| Smoothed over | macro F1 of frames as shown, 4 classes | 3 classes | from 1 s on, 4 classes | 3 classes |",
        "|---|---|---|---|---|",
    ]
    for seconds, row in by_seconds.items():
        cells = (_ranged(row[reading][classes], 3) for reading in ("shown", "settled") for classes in ("all", "three"))
        lines.append(f"| {seconds} s | {' | '.join(cells)} |")
    return lines


def _is_told(tried: Mapping[str, Any]) -> bool:
    """Of those that are smoothed as now: some thresholds, with and without a minimum duration."""
    return tried["setting"]["needs"]["on"] in {0.5, 0.6, 0.7, 0.8, 0.9}


def _none(text: str) -> str:
    return f"| {text}: not reached by any | | | | | |"


def _words(setting: Mapping[str, Any]) -> str:
    needs = setting["needs"]
    clips = f", {needs['clips']} clips" if needs["clips"] > 1 else ""
    return f"on {needs['on']:.2f}, {needs['min_duration_s']:g} s{clips}, smoothed over {setting['time_constant_s']:g} s"


def _row(name: str, point: Mapping[str, Any]) -> str:
    videos, actions = point["videos"], point["actions"]
    cells = (
        name,
        _ranged(point["false_per_hour"], 1),
        _ranged(videos["share"], 2) if videos else "",
        f"{_seconds(videos['delay_p50_s'])} / {_seconds(videos['delay_p90_s'])}" if videos else "",
        _ranged(actions["share"], 2) if actions else "",
        _seconds(actions["delay_p50_s"]) if actions else "",
    )
    return f"| {' | '.join(cells)} |"


def _kinds(tier: Mapping[str, Any]) -> list[str]:
    """Every setting of the table above that is the best of something, by kind of calm video."""
    chosen = {most: found["point"]["kinds"] for most, found in tier["at_most"].items() if found}
    heads = "".join(f" at most {most} |" for most in chosen)
    lines = [
        f"| Calm video, false events | videos | minutes | now |{heads}",
        f"|---|---|---|---|{'---|' * len(chosen)}",
    ]
    for index, kind in enumerate(tier["now"]["kinds"]):
        cells = "".join(f" {kinds[index]['false_events']} |" for kinds in chosen.values())
        minutes = 60 * kind["hours"]
        lines.append(f"| {kind['kind']} | {kind['videos']} | {minutes:.1f} | {kind['false_events']} |{cells}")
    return lines


def _ranged(interval: Mapping[str, Any] | None, digits: int) -> str:
    if interval is None:
        return ""
    return f"{interval['value']:.{digits}f} [{interval['low']:.{digits}f}, {interval['high']:.{digits}f}]"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"
