"""/v1/models: which action networks there are, and their labels."""

from __future__ import annotations

from fastapi import APIRouter

from models.weights.cards import light_card
from service.bodies import Items
from service.rights import needs
from service.routes.context import Here
from service.routes.versions.bodies import Model

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("")
@needs("models:read")
async def list_models(here: Here) -> Items[Model]:
    """Everything in the weights folder that a stream may name as its ``model``; besides, `surveillance@2` names one
    version of `surveillance` whatever serves.
    """
    cards = await here.catalogue.aliases()
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
            version=card.folder.name,
            light=None if (light := light_card(card)) is None else light.folder.name,
            runtime=running.get(f"model:{card.folder.name}"),
        )
        for folder, card in cards.items()
    ]
    return Items(items=items, next_cursor=None)
