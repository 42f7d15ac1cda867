"""The document of the API: FastAPI's, with the body of problems, and with who may use each operation."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from service import errors
from service.access.cookies import PLAIN_NAME, SECURE_NAME
from service.rights import OPEN, PERMISSIONS
from service.routes.needs import Needs

_COOKIE, _BEARER = "session", "token"
_SCHEMES: dict[str, Any] = {
    _COOKIE: {
        "type": "apiKey",
        "in": "cookie",
        "name": SECURE_NAME,
        "description": f"of POST /v1/login; over plain http on this machine it is named {PLAIN_NAME}",
    },
    _BEARER: {"type": "http", "scheme": "bearer", "description": "an API token, acto_…; never in a URL"},
}


def described(app: FastAPI, permissions: Needs) -> dict[str, Any]:
    """→ OpenAPI 3.1."""
    document = FastAPI.openapi(app)
    if "securitySchemes" in document.setdefault("components", {}):
        return document  # made before
    schemas = document["components"].setdefault("schemas", {})
    problem = errors.ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["ProblemBody"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["components"]["securitySchemes"] = _SCHEMES
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _state_needs(operation, permissions.of(path, method.upper()))
            # FastAPI adds its own 422 wherever there is a path parameter, though a text cannot be wrong in that way.
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
    return document


def _state_needs(operation: dict[str, Any], permission: str) -> None:
    by_link = any(parameter["name"] == "sig" for parameter in operation.get("parameters", ()))
    known: list[dict[str, list[str]]] = [{_COOKIE: []}, {_BEARER: []}]
    operation["x-permission"] = permission
    operation["security"] = [{}, *known] if by_link else [] if permission == OPEN else known
    sentence = "A signed link needs nobody." if by_link else _sentence(permission)
    operation["description"] = f"{operation.get('description', '')}\n\n{sentence}".strip()
    if permission != OPEN:
        for status, answer in errors.problems(401, 403).items():
            operation["responses"].setdefault(str(status), answer)


def _sentence(permission: str) -> str:
    if permission == OPEN:
        return "Open to everyone."
    needed = PERMISSIONS[permission]
    return f"Needs `{permission}`: role {needed.role.value}, of a token the scope {needed.scope.value} too."
