"""What speaks against a version that somebody wants to serve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from service.promotion.forecast import looking
from service.storage.records import StreamRecord
from service.storage.rules import RuleRecord
from service.versions.shelf import VersionFacts

MAX_WORDS = 5  # of a gate's checks, labels


def objections(
    facts: VersionFacts, serving: str, streams: Sequence[StreamRecord], rules: Sequence[RuleRecord]
) -> list[str]:
    """→ why a version must not take the place of ``serving`` unless somebody forces it, in words; nothing where all is
    well.
    """
    found = [] if facts.name.number == 1 else _gate(facts, serving)
    missing = sorted(needed_labels(facts.name.alias, streams, rules) - set(facts.card.labels))
    if missing:
        found.append(f"streams and rules need labels that it does not have: {', '.join(missing[:MAX_WORDS])}")
    return found


def needed_labels(alias: str, streams: Iterable[StreamRecord], rules: Sequence[RuleRecord]) -> set[str]:
    """→ labels that streams of this model watch for, and that rules over them look for."""
    needed: set[str] = set()
    for stream in streams:
        if stream.model == alias:
            needed.update(stream.actions or ())
            for actions in looking(rules, stream.id):
                needed.update(actions or ())
    return needed


def _gate(facts: VersionFacts, serving: str) -> list[str]:
    if facts.gate is None:
        return ["no gate has compared it with the version that serves"]
    if facts.passed and facts.parent in (None, serving):
        return []
    if facts.passed:
        return [f"the gate compared it with {facts.parent}, and {serving} serves"]
    checks = [each for each in facts.gate.get("checks", ()) if isinstance(each, dict) and each.get("passed") is False]
    words = [str(each.get("words") or each.get("name")) for each in checks]
    missing = [f"too few labels: {each}" for each in facts.gate.get("missing", ())]
    return [f"the gate refused it: {'; '.join([*words, *missing][:MAX_WORDS]) or 'see its checks'}"]
