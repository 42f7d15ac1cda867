"""What all nodes together can afford, as the system page shows it of one machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from service.budget.plan import BudgetView


def together(views: Mapping[str, BudgetView]) -> BudgetView | None:
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
