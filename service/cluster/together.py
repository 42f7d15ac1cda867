"""What nodes tell, shown as of one machine: what they can afford, and what is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from service.budget.plan import BudgetView


def budget(views: Mapping[str, BudgetView]) -> BudgetView | None:
    """→ sums over nodes; plan, rung and costs are those of the node that gives way most. None: nobody has said."""
    if not views:
        return None
    name, hardest = max(views.items(), key=lambda item: (item[1].step / item[1].steps, item[0]))
    if len(views) == 1:
        return hardest
    each = list(views.values())
    return replace(
        hardest,
        plan=replace(hardest.plan, reason=f"{name}: {hardest.plan.reason}"),
        cores=sum(view.cores for view in each),
        taken=None if any(view.taken is None for view in each) else sum(view.taken or 0.0 for view in each),
        capacity=sum(view.capacity for view in each),
        need=sum(view.need for view in each),
        cameras=sum(view.cameras for view in each),
        people=sum(view.people for view in each),
    )


def parts(told: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """``told``: node → part → what it runs on. → part → that, with the nodes' names where they differ."""
    found: dict[str, dict[str, list[str]]] = {}  # part → what it runs on → where
    for node, loaded in sorted(told.items()):
        for part, text in loaded.items():
            found.setdefault(part, {}).setdefault(text, []).append(node)
    return {part: _said(texts, len(told)) for part, texts in found.items()}


def _said(texts: Mapping[str, list[str]], nodes: int) -> str:
    if len(texts) == 1 and len(next(iter(texts.values()))) == nodes:
        return next(iter(texts))
    return "; ".join(f"{', '.join(where)}: {text}" for text, where in texts.items())
