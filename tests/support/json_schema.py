"""The part of JSON Schema (2020-12) that the schemas under tests/data use; a keyword that is not known is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
_KNOWN = {
    *("$schema", "$id", "$defs", "$ref", "$comment", "title", "description", "type", "enum", "const", "pattern"),
    *("properties", "required", "additionalProperties", "propertyNames", "minProperties", "items", "minItems"),
    *("uniqueItems", "anyOf", "oneOf", "maxLength", "minLength"),
}


def problems(value: Any, schema: Any, root: Any | None = None, path: str = "$") -> list[str]:
    """→ what is wrong with a value, empty where nothing is."""
    return list(_problems(value, schema, root or schema, path))


def _problems(value: Any, schema: Any, root: Any, path: str) -> Iterator[str]:
    if unknown := schema.keys() - _KNOWN:
        raise ValueError(f"expected keywords that this validator knows, got {sorted(unknown)}")
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        yield from _problems(value, target, root, path)
    if "type" in schema and not _is(value, schema["type"]):
        yield f"{path}: expected {schema['type']}, got {value!r}"
        return
    yield from _plain(value, schema, path)
    if isinstance(value, dict):
        yield from _object(value, schema, root, path)
    if isinstance(value, list):
        yield from _array(value, schema, root, path)
    for keyword, most in (("anyOf", len(schema.get("anyOf", ()))), ("oneOf", 1)):
        if keyword in schema:
            tries = [problems(value, option, root, path) for option in schema[keyword]]
            if not 1 <= sum(not wrong for wrong in tries) <= most:
                yield f"{path}: fits none or several of {keyword}: {min(tries, key=len)}"


def _is(value: Any, names: str | list[str]) -> bool:
    names = [names] if isinstance(names, str) else names
    return any(isinstance(value, _TYPES[name]) and not (name == "integer" and value is True) for name in names)


def _plain(value: Any, schema: Any, path: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: expected one of {schema['enum']}, got {value!r}"
    if "const" in schema and value != schema["const"]:
        yield f"{path}: expected {schema['const']!r}, got {value!r}"
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{path}: expected {schema['pattern']}, got {value!r}"
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            yield f"{path}: a length of {len(value)}"


def _object(value: dict[str, Any], schema: Any, root: Any, path: str) -> Iterator[str]:
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}: {name} is missing"
    if len(value) < schema.get("minProperties", 0):
        yield f"{path}: too few properties"
    for name, item in value.items():
        if "propertyNames" in schema:
            yield from _problems(name, schema["propertyNames"], root, f"{path} name")
        if name in known:
            yield from _problems(item, known[name], root, f"{path}.{name}")
        elif others is False:
            yield f"{path}: {name} is not known"
        elif isinstance(others, dict):
            yield from _problems(item, others, root, f"{path}.{name}")


def _array(value: list[Any], schema: Any, root: Any, path: str) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0):
        yield f"{path}: too few items"
    if schema.get("uniqueItems") and len({repr(item) for item in value}) < len(value):
        yield f"{path}: items are alike"
    for index, item in enumerate(value):
        if "items" in schema:
            yield from _problems(item, schema["items"], root, f"{path}[{index}]")
