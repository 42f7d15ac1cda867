"""The tables of ``benchmarks/false_events.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MODELS = {"light": "surveillance-light", "full": "surveillance"}  # by tier
BOXES = ", boxes"  # of a tier's name, where boxes speak beside its network
NAMES = {
    f"{name}{boxes}": f"`{model}`{words}"
    for name, model in MODELS.items()
    for boxes, words in (("", ", the network alone"), (BOXES, " with boxes"))
}
READINGS = {"smoothed": "of scores as they are smoothed", "clips": "of single clips"}


def markdown(report: Mapping[str, Any]) -> str:
    """Tables of each tier: settings in rows; below it by kind, frames, and whole videos."""
    return "\n".join(_tier(NAMES[name], report[name]) for name in NAMES if name in report)


def _tier(name: str, tier: Mapping[str, Any]) -> str:
    shipped = tier["as_shipped"]
    lines = [
        f"{name}{', as it ships' if tier['ships'] else ''}, {tier['videos']} videos ({tier['not_run']} not run):",
        "",
        "| Settings | false an hour | fights found (videos) | delay p50 / p90 | fighting people found | delay p50 |",
        "|---|---|---|---|---|---|",
        _row("every label's: on 0.50, 0.5 s", tier["now"]),
        _row(f"as shipped: {_words(shipped['setting'])}", shipped["point"]),
    ]
    goal = tier["goal"]
    lines.append(
        _row(f"goal, 2 an hour and 1.5 s: {_words(goal['setting'])}", goal["point"]) if goal else _none("goal")
    )
    for most, found in tier["at_most"].items():
        text = _limit(most)
        lines.append(_row(f"{text}: {_words(found['setting'])}", found["point"]) if found else _none(text))
        if found and found["elsewhere"]:
            lines.append(_row("… chosen on the other folds", found["elsewhere"]))
    lines += [_row(_words(each["setting"]), each["point"]) for each in tier["as_smoothed_now"] if _is_told(each)]
    return "\n".join([*lines, "", *_kinds(tier), "", *_frames(tier["frames"]), "", *_fights(tier["fights"])]) + "\n"


def _limit(most: str) -> str:
    return {"now": "no more than every label's", "shipped": "no more than as shipped"}.get(
        most, f"at most {most} an hour"
    )


def _fights(by_reading: Mapping[str, Any]) -> list[str]:
    lines = [
        "| Fight or no fight, by the peak | videos | fights | ROC AUC | accuracy | called one: fights | calm |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, decision in by_reading.items():
        if decision is not None:
            (_, false), (_, found) = decision["confusion"] or (("", ""), ("", ""))
            figures = (_ranged(decision[key], 3) for key in ("roc_auc", "accuracy"))
            cells = (READINGS[name], decision["videos"], decision["positive"], *figures, found, false)
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


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
    chosen = {_limit(most): found["point"]["kinds"] for most, found in tier["at_most"].items() if found}
    chosen = {"as shipped": tier["as_shipped"]["point"]["kinds"], **chosen}
    heads = "".join(f" {limit} |" for limit in chosen)
    lines = [
        f"| Calm video, false events | videos | minutes | every label's |{heads}",
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
