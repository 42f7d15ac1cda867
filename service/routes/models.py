"""/v1/models: which action networks there are, and their labels."""

from __future__ import annotations

from fastapi import APIRouter

from models.weights.cards import light_card
from service.bodies import Items, Model
from service.routes.context import Here

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("")
async def list_models(here: Here) -> Items[Model]:
    """Everything in the weights folder that a stream may name as its ``model``."""
    cards = await here.catalogue.cards()
    running = here.supervisor.inference_status().get("parts", {})
    items = [
        Model(
            id=folder,
            name=card.name,
            kind=card.kind,
            labels=list(card.labels),
            metrics=dict(card.metrics),
            provenance=card.provenance,
            licence=card.licence,
            default=folder == here.catalogue.default,
            light=None if (light := light_card(card)) is None else light.folder.name,
            runtime=running.get(f"model:{folder}"),
        )
        for folder, card in cards.items()
    ]
    return Items(items=items, next_cursor=None)
