"""/v1/models/{alias}: its versions, which one serves, which one is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as InPath

from service.bodies import Items
from service.errors import problems
from service.promotion.desk import Asked
from service.rights import Visible, needs
from service.routes.context import Address, Context, Here, Who
from service.routes.versions.bodies import (
    ModelVersion,
    PromoteVersion,
    RollBack,
    Shadow,
    TryVersion,
    to_version,
)

router = APIRouter(prefix="/v1/models/{alias}", tags=["models"])

Alias = Annotated[str, InPath(min_length=1, max_length=200, description="a model of /v1/models")]


@router.get("/versions", responses=problems(404))
@needs("models:read")
async def list_versions(alias: Alias, here: Here, who: Who) -> Items[ModelVersion]:
    """All of them, newest first. What a gate said in words names cameras, so it is for those who see all streams."""
    return Items(items=await _versions(here, alias, who.visible), next_cursor=None)


@router.get("/shadow", responses=problems(404))
@needs("models:read")
async def get_shadow(alias: Alias, here: Here, who: Who) -> Shadow | None:
    """How the version that is tried does so far; null where none is."""
    return Shadow.of(await here.promotions.trial(alias, who.visible))


@router.post("/shadow", responses=problems(404, 409, 422))
@needs("models:write")
async def try_version(alias: Alias, body: TryVersion, here: Here, who: Who, address: Address) -> Shadow | None:
    """Tries a version beside the one that serves: it judges the same clips when there is time, and tells nobody."""
    await here.promotions.shadow(alias, body.version, Asked(who, address=address))
    return Shadow.of(await here.promotions.trial(alias, who.visible))


@router.post("/promote", responses=problems(404, 409, 422, 503))
@needs("models:write")
async def promote(alias: Alias, body: PromoteVersion, here: Here, who: Who, address: Address) -> ModelVersion:
    """Has a version serve: streams go on with it between two frames. Answers when they do; the first time that a
    version is loaded that may take minutes. 409 where something speaks against it, 503 where it cannot be loaded.
    """
    asked = Asked(who, body.reason, address, body.force)
    await _done(here.promotions.promote(alias, body.version, asked))
    return await _serving(here, alias, who.visible)


@router.post("/rollback", responses=problems(404, 409, 422, 503))
@needs("models:write")
async def roll_back(alias: Alias, body: RollBack, here: Here, who: Who, address: Address) -> ModelVersion:
    """Has the version serve that served before."""
    await _done(here.promotions.roll_back(alias, Asked(who, body.reason, address)))
    return await _serving(here, alias, who.visible)


async def _done(work: Coroutine[Any, Any, None]) -> None:
    """A client that leaves meanwhile does not stop half way what it asked for."""
    await asyncio.shield(asyncio.create_task(work))


async def _versions(here: Context, alias: str, visible: Visible) -> list[ModelVersion]:
    pointer, found = await here.promotions.versions(alias)
    trial = await here.promotions.trial(alias, visible)
    return [to_version(each, pointer, trial, visible.streams is None) for each in found]


async def _serving(here: Context, alias: str, visible: Visible) -> ModelVersion:
    return next(each for each in await _versions(here, alias, visible) if each.state == "serving")
