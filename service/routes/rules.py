"""/v1/rules: when somebody is told."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from service.alerts.dry_run import DryRunResult
from service.alerts.rule import to_rule
from service.bodies import Items, PageQuery
from service.errors import problems
from service.errors_base import Conflict, invalid, not_found
from service.ids import new_id
from service.rights import ALL, Principal, needs
from service.routes.alert_bodies import (
    DryIncident,
    DryRun,
    DryRunRequest,
    RuleAnswer,
    RuleBody,
    RulePatch,
    Snooze,
    Span,
    to_rule_answer,
)
from service.routes.context import Context, Here, Who, root_path
from service.routes.objects import FoundRule
from service.routes.rule_checks import Surroundings, check_places, find_problems, look_around
from service.routes.streams import parse_cursor
from service.storage.rules import RuleRecord
from service.wire_messages import rfc3339

router = APIRouter(prefix="/v1/rules", tags=["rules"])

MAX_RULES = 200
MAX_SNOOZE_S = 31 * 86_400.0


async def _answer(here: Context, who: Principal, record: RuleRecord) -> RuleAnswer:
    return _describe(await look_around(here), who, record)


def _describe(around: Surroundings, who: Principal, record: RuleRecord) -> RuleAnswer:
    now = time.time()
    armed = to_rule(record).armed_from(now) == now
    return to_rule_answer(record, who.visible, armed, find_problems(around, record, who.visible))


@router.post("", status_code=201, responses=problems(409, 422))
@needs("rules:write")
async def add_rule(body: RuleBody, here: Here, who: Who, request: Request, response: Response) -> RuleAnswer:
    """What happens from now on is looked at. `problems` says what keeps the rule from finding anything as yet."""
    await check_places(here, body.streams, body.sinks)
    record = RuleRecord(new_id("rul"), body.name, body.stored(), body.enabled, created_at=time.time())
    if not await here.alerts.rules.add(record, MAX_RULES):
        raise Conflict(f"there are {MAX_RULES} rules, which is the limit")
    await here.alerts.runner.rules_changed()
    response.headers["Location"] = f"{root_path(request)}/v1/rules/{record.id}"
    return await _answer(here, who, record)


@router.get("", responses=problems(422))
@needs("rules:read")
async def list_rules(query: Annotated[PageQuery, Query()], here: Here, who: Who) -> Items[RuleAnswer]:
    """All rules about streams that may be seen, oldest first."""
    page = await here.alerts.rules.list(who.visible, parse_cursor(query.cursor), query.limit)
    around = await look_around(here)
    return Items(items=[_describe(around, who, record) for record in page.items], next_cursor=page.next_cursor)


@router.post("/dry-run", responses=problems(422, 503))
@needs("rules:write")
async def dry_run_unsaved(body: DryRunRequest, here: Here) -> DryRun:
    """What a rule that is not stored would have done with the messages that the log still has."""
    await check_places(here, body.rule.streams, ())
    record = RuleRecord("rul_0000000000000000", body.rule.name, body.rule.stored())
    return await _dry_run(here, record, body)


@router.get("/{rule_id}", responses=problems(404))
@needs("rules:read")
async def get_rule(rule: FoundRule, here: Here, who: Who) -> RuleAnswer:
    return await _answer(here, who, rule)


@router.patch("/{rule_id}", responses=problems(404, 422))
@needs("rules:write")
async def change_rule(rule: FoundRule, body: RulePatch, here: Here, who: Who) -> RuleAnswer:
    """Changes what is given. Incidents that are open end if the rule does not look there any more."""
    given = body.model_extra or {}
    fresh = _merged(rule, given)
    await check_places(here, fresh.streams if "streams" in given else (), fresh.sinks if "sinks" in given else ())
    record = RuleRecord(rule.id, fresh.name, fresh.stored(), fresh.enabled, rule.snoozed_until, rule.created_at)
    if not await here.alerts.rules.change(record):
        raise not_found("rule", rule.id)
    await here.alerts.runner.rules_changed()
    return await _answer(here, who, record)


def _merged(rule: RuleRecord, given: dict[str, Any]) -> RuleBody:
    try:
        return RuleBody.model_validate({**rule.body, "name": rule.name, "enabled": rule.enabled, **given})
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None


@router.delete("/{rule_id}", status_code=204, responses=problems(404))
@needs("rules:write")
async def delete_rule(rule: FoundRule, here: Here) -> None:
    """Its open incidents end; they all stay."""
    if not await here.alerts.rules.delete(rule.id):
        raise not_found("rule", rule.id)
    await here.alerts.runner.rules_changed()


@router.post("/{rule_id}/snooze", responses=problems(403, 404, 422))
@needs("rules:snooze")
async def snooze_rule(rule: FoundRule, body: Snooze, here: Here, who: Who) -> RuleAnswer:
    """Silence for a while, at most 31 days. Open incidents end; what happens meanwhile is not told later."""
    now = time.time()
    until = now + 60 * (body.minutes or 0) if body.until is None else body.until.timestamp()
    if not now < until <= now + MAX_SNOOZE_S:
        raise invalid("until", "a time from now on, at most 31 days", rfc3339(until))
    return await _silence(here, who, rule, until)


@router.delete("/{rule_id}/snooze", responses=problems(403, 404))
@needs("rules:snooze")
async def end_snooze(rule: FoundRule, here: Here, who: Who) -> RuleAnswer:
    """Armed again from now on."""
    return await _silence(here, who, rule, None)


async def _silence(here: Context, who: Principal, rule: RuleRecord, until: float | None) -> RuleAnswer:
    if not await here.alerts.rules.snooze(rule.id, until):
        raise not_found("rule", rule.id)
    await here.alerts.runner.rules_changed()
    fresh = await here.alerts.rules.get(rule.id, ALL)
    if fresh is None:
        raise not_found("rule", rule.id)
    return await _answer(here, who, fresh)


@router.post("/{rule_id}/dry-run", responses=problems(404, 422, 503))
@needs("rules:write")
async def dry_run(rule: FoundRule, body: Span, here: Here) -> DryRun:
    """What the rule would have done with the messages that the log still has, as if it had been enabled."""
    return await _dry_run(here, rule, body)


async def _dry_run(here: Context, record: RuleRecord, span: Span) -> DryRun:
    since, until = span.since.timestamp(), span.until.timestamp()
    result = await here.alerts.dry_run(to_rule(record), since, until)
    return DryRun(
        since=rfc3339(since),
        until=rfc3339(until),
        log_since=result.log_since,
        messages_read=result.messages_read,
        messages=result.messages,
        incidents=_dry_incidents(result),
        more=result.more,
        truncated=result.truncated,
    )


def _dry_incidents(result: DryRunResult) -> list[DryIncident]:
    return [
        DryIncident(
            stream_id=incident.stream_id,
            zone=incident.zone,
            action=incident.action,
            people=incident.people,
            confidence=incident.confidence,
            started_at=rfc3339(incident.started_at),
            ended_at=None if incident.ended_at is None else rfc3339(incident.ended_at),
            muted=incident.muted,
            messages=messages,
        )
        for incident, messages in result.incidents
    ]
