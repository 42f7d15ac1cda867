"""/v1/login, /v1/logout and /v1/me: whoever asks."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from service.access.cookies import SessionCookie, cookie_of, need_cookie
from service.access.logins import Visitor
from service.access.principals import LONGEST_S
from service.errors import problems
from service.rights import OPEN, needs
from service.routes.access.bodies import LoggedOut, Login, Me, PasswordChange, to_me
from service.routes.context import Here, Who, client_address

router = APIRouter(prefix="/v1", tags=["access"])


@router.post("/login", responses=problems(401, 403, 422, 429))
@needs(OPEN)
async def login(body: Login, here: Here, request: Request, response: Response) -> Me:
    """A name and a password become a session, which the browser keeps as a cookie. Scripts take an API token."""
    cookie = need_cookie(request)
    secret, user = await here.access.logins.login(body.name, body.password.get_secret_value(), _visitor(request))
    _give(response, cookie, secret)
    return to_me(await here.access.principals.user(user), here.settings)


@router.post("/logout")
@needs("self")
async def logout(here: Here, who: Who, request: Request, response: Response) -> LoggedOut:
    """Ends the session of this cookie. Whoever came in otherwise has none to end."""
    cookie = cookie_of(request)
    secret = request.cookies.get(cookie.name) if cookie is not None else None
    if cookie is not None and secret is not None:
        if who.kind == "user":
            await here.access.logins.logout(secret, who, _visitor(request))
        response.delete_cookie(cookie.name, cookie.path, secure=cookie.secure, httponly=True, samesite="lax")
    return LoggedOut(logout_url=here.settings.logout_url or None)


@router.get("/me")
@needs("self")
async def me(here: Here, who: Who) -> Me:
    """Who asks, and what that principal may do and see."""
    return to_me(who, here.settings)


@router.patch("/me", responses=problems(409, 422, 429))
@needs("self")
async def change_password(body: PasswordChange, here: Here, who: Who, request: Request, response: Response) -> Me:
    """Sets a new password. Every session of the user ends, and this one goes on as a new one."""
    old, new = body.old_password.get_secret_value(), body.password.get_secret_value()
    secret = await here.access.logins.change_password(who, old, new, _visitor(request))
    _give(response, need_cookie(request), secret)
    return to_me(who, here.settings)


def _visitor(request: Request) -> Visitor:
    return Visitor(client_address(request), request.headers.get("user-agent", ""))


def _give(response: Response, cookie: SessionCookie, secret: str) -> None:
    response.set_cookie(
        cookie.name,
        secret,
        max_age=int(LONGEST_S),
        path=cookie.path,
        secure=cookie.secure,
        httponly=True,
        samesite="lax",
    )
    response.headers["Cache-Control"] = "no-store"
