"""/v1/users: who may log in, and what they may do and see."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from service.access.accounts import Actor, UserChange
from service.bodies import Items
from service.errors import problems
from service.errors_base import not_found
from service.rights import needs
from service.routes.access.bodies import User, UserCreate, UserPatch, to_grants, to_user
from service.routes.context import Address, Here, Who, root_path

router = APIRouter(prefix="/v1/users", tags=["access"])

_ID = re.compile(r"usr_[0-9a-f]{16}")


def user_id(user_id: Annotated[str, Path(description="id of a user", examples=["usr_0123456789abcdef"])]) -> str:
    """Raises NotFound for what cannot be an id."""
    if not _ID.fullmatch(user_id):
        raise not_found("user", user_id)
    return user_id


def actor(who: Who, address: Address) -> Actor:
    return Actor(who, address)


UserId = Annotated[str, Depends(user_id)]
By = Annotated[Actor, Depends(actor)]


@router.get("")
@needs("users:read")
async def list_users(here: Here) -> Items[User]:
    """All users, oldest first; there are at most 1,000."""
    return Items(items=[to_user(user) for user in await here.access.accounts.all()], next_cursor=None)


@router.post("", status_code=201, responses=problems(409, 422))
@needs("users:write")
async def add_user(body: UserCreate, here: Here, by: By, request: Request, response: Response) -> User:
    """The first one has to be an admin; with it this machine's own say ends, and everybody logs in."""
    password = body.password.get_secret_value()
    user = await here.access.accounts.add(by, body.name, password, to_grants(body.grants))
    response.headers["Location"] = f"{root_path(request)}/v1/users/{user.id}"
    return to_user(user)


@router.get("/{user_id}", responses=problems(404))
@needs("users:read")
async def get_user(user_id: UserId, here: Here) -> User:
    return to_user(await here.access.accounts.get(user_id))


@router.patch("/{user_id}", responses=problems(404, 409, 422))
@needs("users:write")
async def change_user(user_id: UserId, body: UserPatch, here: Here, by: By) -> User:
    """Ends the user's sessions at once, open websockets within a second. One admin at least has to be left."""
    change = UserChange(
        name=body.name,
        password=None if body.password is None else body.password.get_secret_value(),
        grants=None if body.grants is None else to_grants(body.grants),
        enabled=body.enabled,
    )
    return to_user(await here.access.accounts.change(by, user_id, change))


@router.delete("/{user_id}", status_code=204, responses=problems(404, 409))
@needs("users:write")
async def remove_user(user_id: UserId, here: Here, by: By) -> None:
    """With the user's sessions; API tokens that the user made do not count any more."""
    await here.access.accounts.remove(by, user_id)
