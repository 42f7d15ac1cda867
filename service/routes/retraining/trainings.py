"""/v1/trainings: corrected labels → further versions of a network."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from service.bodies import Items, PageQuery
from service.errors import problems
from service.errors_base import Forbidden, invalid, not_found
from service.rights import needs
from service.routes.context import Here, Who, root_path
from service.routes.retraining.bodies import Training, TrainingCreate, to_training
from service.routes.streams import parse_cursor

router = APIRouter(prefix="/v1/trainings", tags=["trainings"])

_ID = re.compile(r"trn_[0-9a-f]{16}")


def training_id(
    training_id: Annotated[str, Path(description="id of a training", examples=["trn_0123456789abcdef"])], who: Who
) -> str:
    """Raises NotFound for a text that cannot be an id, Forbidden as ``sees_all``."""
    sees_all(who)
    if not _ID.fullmatch(training_id):
        raise not_found("training", training_id)
    return training_id


def sees_all(who: Who) -> None:
    """A training learns from every camera and tells of each. Raises Forbidden for who does not see all of them."""
    if who.visible.streams is not None:
        raise Forbidden("expected somebody who sees all streams: trainings tell of each")


TrainingId = Annotated[str, Depends(training_id)]


@router.post("", status_code=202, responses=problems(409, 422, 503))
@needs("trainings:write")
async def add_training(body: TrainingCreate, here: Here, who: Who, request: Request, response: Response) -> Training:
    """Starts a training beside the cameras, or lets it wait for the one that runs. It promotes nothing."""
    sees_all(who)
    known = await here.catalogue.aliases()  # the version that serves learns on, whatever else there is
    if body.base not in known or known[body.base].input.kind != "crops":
        raise invalid("base", "a network of /v1/models that reads crops of people", body.base)
    view = await here.trainings.start(body.base, body.config, body.force_count, who)
    response.headers["Location"] = f"{root_path(request)}/v1/trainings/{view.record.id}"
    return to_training(view)


@router.get("", responses=problems(422))
@needs("trainings:read")
async def list_trainings(query: Annotated[PageQuery, Query()], here: Here, who: Who) -> Items[Training]:
    """Newest first. They tell of every camera, so they are for those who see all."""
    sees_all(who)
    page = await here.trainings.page(parse_cursor(query.cursor), query.limit)
    return Items(items=[to_training(view) for view in page.items], next_cursor=page.next_cursor)


@router.get("/{training_id}", responses=problems(404))
@needs("trainings:read")
async def get_training(training_id: TrainingId, here: Here) -> Training:
    return to_training(await here.trainings.get(training_id))


@router.delete("/{training_id}", status_code=204, responses=problems(404, 409))
@needs("trainings:write")
async def cancel_training(training_id: TrainingId, here: Here) -> None:
    """Cancels one that waits or runs. What it has made so far goes; versions that are there stay."""
    await here.trainings.cancel(training_id)
