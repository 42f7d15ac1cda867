"""``fighting gate last night`` → the filters of ``GET /v1/events``, and which words said what."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from service.local_time.time_of_day import DAY_S, TimeOfDay
from service.search.days import Now, read_days
from service.search.names import KIND_WORDS, Vocabulary, find_name
from service.search.numbers import read_number, read_time_of_day
from service.search.words import FILLERS, plain, word_at, words

MAX_TEXT = 200
# Words → a filter and its value; the longer ones first.
_FIXED = (
    (r"(?:without|no) verdicts?|unjudged|not judged", "verdict", "none"),
    (r"right|correct|confirmed", "verdict", "right"),
    (r"wrong|incorrect|mistaken|corrected", "verdict", "wrong"),
    (r"unsure|uncertain", "verdict", "unsure"),
    (r"unreviewed|not reviewed|unseen", "reviewed", "false"),
    (r"reviewed", "reviewed", "true"),
    (r"audit(?: sample)?", "audit_sample", "true"),
    (r"(?:to|for) review", "order", "review"),
)
_SIGN = re.compile(r"(?:#|[<>]=?) ?$")
_PATTERNS = [(re.compile(rf"(?:{pattern})(?!\w)"), name, value) for pattern, name, value in _FIXED]


@dataclass(frozen=True, slots=True)
class Understood:
    """``query``: filter → values, as ``GET /v1/events`` takes them. ``words``: what was read, and what it means.

    ``rest``: words that mean nothing here.
    """

    query: dict[str, list[str]]
    words: tuple[tuple[str, str], ...]
    rest: str


@dataclass
class _Reading:
    """A text on its way."""

    given: str
    vocabulary: Vocabulary
    now: Now
    place: int = 0
    query: dict[str, list[str]] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    days: list[tuple[float, float]] = field(default_factory=list)
    time_of_day: TimeOfDay | None = None

    def __post_init__(self) -> None:
        self.text = plain(self.given)

    def take(self, end: int, means: str) -> None:
        self.told.append((self.given[self.place : end].strip(), means))
        self.place = end

    def add(self, name: str, *values: str) -> None:
        known = self.query.setdefault(name, [])
        known += [value for value in values if value not in known]

    def put(self, name: str, value: str) -> None:
        """The last word counts."""
        self.query[name] = [value]


def understand(given: str, vocabulary: Vocabulary, now: Now) -> Understood:
    """Reads from left to right; at each place days come before times, numbers, fixed words and names."""
    reading = _Reading(given[:MAX_TEXT], vocabulary, now)
    while (match := word_at(reading.text, reading.place)) is not None:
        reading.place = _begin(reading, match.start())
        if not any(read(reading) for read in _READERS):
            _skip(reading)
    return Understood(_finished(reading), tuple(reading.told), " ".join(reading.rest))


def _begin(reading: _Reading, start: int) -> int:
    """→ where the next thing begins: at a word, or at a sign right before it that means something."""
    sign = _SIGN.search(reading.text[reading.place : start])
    return start if sign is None else reading.place + sign.start()


def _days(reading: _Reading) -> bool:
    found = read_days(reading.text, reading.place, reading.now)
    if found is None:
        return False
    days, end = found
    reading.days.append((days.since, days.until))
    reading.take(end, days.means)
    return True


def _time(reading: _Reading) -> bool:
    found = read_time_of_day(reading.text, reading.place)
    if found is None:
        return False
    wanted, end = found
    reading.time_of_day = _both(reading.time_of_day, wanted)
    reading.take(end, f"from {str(wanted).replace('-', ' to ')}")
    return True


def _both(one: TimeOfDay | None, other: TimeOfDay) -> TimeOfDay:
    """``after 18:00`` and ``before 20:00`` together; else the later words count."""
    if one is not None and one.end_s == DAY_S and other.begin_s == 0 and one.begin_s != other.end_s:
        return TimeOfDay(one.begin_s, other.end_s)
    return other


def _number(reading: _Reading) -> bool:
    found = read_number(reading.text, reading.place)
    if found is None:
        return False
    wanted, end = found
    (reading.add if wanted.name == "track" else reading.put)(wanted.name, wanted.value)
    reading.take(end, wanted.means)
    return True


def _fixed(reading: _Reading) -> bool:
    for pattern, name, value in _PATTERNS:
        match = pattern.match(reading.text, reading.place)
        if match is not None:
            (reading.add if name == "verdict" else reading.put)(name, value)
            reading.take(match.end(), f"{name.replace('_', ' ')}: {value}")
            return True
    return False


def _name(reading: _Reading) -> bool:
    given = words(reading.text[reading.place :])
    kind = KIND_WORDS.get(given[0].removesuffix("s"))
    skipped = 1 if kind is not None and len(given) > 1 else 0
    found = find_name(reading.vocabulary, given[skipped:], kind if skipped else None)
    if found is None:
        return False
    end = _end_of(reading, skipped + found.count)
    reading.add(found.kind, *found.values)
    reading.take(end, f"{found.kind}: {', '.join(found.names)}")
    return True


_READERS: tuple[Callable[[_Reading], bool], ...] = (_days, _time, _number, _fixed, _name)


def _end_of(reading: _Reading, count: int) -> int:
    end = reading.place
    for _ in range(count):
        match = word_at(reading.text, end)
        end = end if match is None else match.end()
    return end


def _skip(reading: _Reading) -> None:
    end = _end_of(reading, 1)
    word = reading.given[reading.place : end].strip()
    if plain(word) not in FILLERS:
        reading.rest.append(word)
    reading.place = end


def _finished(reading: _Reading) -> dict[str, list[str]]:
    query = dict(reading.query)
    if reading.days:
        since, until = min(begin for begin, _ in reading.days), max(end for _, end in reading.days)
        query |= {"since": [_rfc3339(since)], "until": [_rfc3339(until)]}
    if reading.time_of_day is not None:
        query |= {"time_of_day": [str(reading.time_of_day)], "timezone": [reading.now.zone.key]}
    return query


def _rfc3339(unix: float) -> str:
    return datetime.fromtimestamp(int(unix), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
