"""/v1/tokens: what programs identify themselves with."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from service.access.api_tokens import TokenWish
from service.bodies import Items
from service.errors import problems
from service.errors_base import not_found
from service.rights import needs
from service.routes.access.bodies import NewToken, Token, TokenCreate, to_grants, to_new_token, to_token
from service.routes.access.users import By
from service.routes.context import Here, root_path

router = APIRouter(prefix="/v1/tokens", tags=["access"])

_ID = re.compile(r"[0-9a-f]{8}")


def token_id(token_id: Annotated[str, Path(description="id of a token", examples=["1a2b3c4d"])]) -> str:
    """Raises NotFound for what cannot be an id."""
    if not _ID.fullmatch(token_id):
        raise not_found("token", token_id)
    return token_id


TokenId = Annotated[str, Depends(token_id)]


@router.get("")
@needs("tokens:read")
async def list_tokens(here: Here) -> Items[Token]:
    """All tokens without their secrets, oldest first; those that ended 30 days ago are forgotten."""
    return Items(items=[to_token(token) for token in await here.access.tokens.all()], next_cursor=None)


@router.post("", status_code=201, responses=problems(409, 422))
@needs("tokens:write")
async def add_token(body: TokenCreate, here: Here, by: By, request: Request, response: Response) -> NewToken:
    """The answer holds the token, this once. It is sent as ``Authorization: Bearer``, never in a URL."""
    expires_at = None if body.expires_at is None else body.expires_at.timestamp()
    if "expires_at" not in body.model_fields_set:
        expires_at = here.access.tokens.in_days()
    wish = TokenWish(body.name, frozenset(body.scopes), to_grants(body.grants), expires_at)
    text, record = await here.access.tokens.make(by, wish)
    response.headers["Location"] = f"{root_path(request)}/v1/tokens/{record.id}"
    response.headers["Cache-Control"] = "no-store"
    return to_new_token(text, record)


@router.delete("/{token_id}", status_code=204, responses=problems(404))
@needs("tokens:write")
async def revoke_token(token_id: TokenId, here: Here, by: By) -> None:
    """It counts no more from now on; open websockets end within a second."""
    await here.access.tokens.revoke(by, token_id)
