"""How long another version takes to take over, and to be gone back from, with the networks that ship.

    python -m benchmarks.promotion [--rounds 3] [--cache FOLDER] [--output benchmarks/results/promotion.json]

The service runs on the bundled sample. Its second version is a copy of both shipped networks in files of another
checksum, which are converted anew. Promoted for the first time (with the conversion, unless ``--cache`` has it), rolled
back, and then promoted and rolled back ``--rounds`` times. *answered*: until the API has answered. *heard*: from the
question until the websocket has a label of the other version. *silence*: the longest time without any `tracks` message
meanwhile, to be held against that of ten undisturbed seconds before. IDs go on, or the script fails: a person has a
label of both versions, and no process began anew. Asked for: a roll-back within 5 s.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import statistics
import tempfile
import time
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.runtimes.host import describe_host
from pipeline.files import file_sha256, write_atomically
from tests.support.places import REPOSITORY
from tests.support.service import SAMPLE_URL, Service, Subscriber, wait_for

RESULTS = Path(__file__).parent / "results" / "promotion.json"
FULL, LIGHT = "surveillance", "surveillance-light"
UNDISTURBED_S = 10.0


@dataclass(frozen=True)
class Change:
    """Seconds; ``heard_s`` None: no label of the other version within a minute of the answer."""

    what: str
    answered_s: float
    heard_s: float | None
    silence_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, help="converted networks, kept for the next run")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = two_versions(folder / "weights")
        settings = {"weights_dir": str(weights), "runtime": "auto"}
        with Service(folder, arguments.cache or folder / "cache", **settings) as service:
            changes, undisturbed_s = measured(service, arguments.rounds)
    print_table(changes, undisturbed_s)
    result = {
        "machine": describe_host(),
        "undisturbed_silence_s": undisturbed_s,
        "changes": [asdict(c) for c in changes],
    }
    write_atomically(arguments.output, json.dumps(result, indent=1) + "\n")


def two_versions(weights: Path) -> Path:
    weights.mkdir()
    for part in ("person", "appearance"):
        (weights / part).symlink_to(REPOSITORY / "weights" / part)
    for name in (FULL, LIGHT):
        (weights / name).symlink_to(REPOSITORY / "weights" / name)
        copy(weights / name, weights / f"{name}@2")
    return weights


def copy(source: Path, target: Path) -> None:
    """The same network in a file of another checksum; what was converted of the first does not count for it."""
    target.mkdir()
    for file in source.iterdir():
        if not file.name.startswith("openvino"):
            shutil.copy(file, target / file.name)
    with zipfile.ZipFile(target / "model.keras", "a") as network:
        network.comment = b"version 2"
    card = json.loads((source / "card.json").read_text())
    card = {key: value for key, value in card.items() if key != "conversions"}
    if card.get("light"):
        card["light"] = f"{LIGHT}@2"
    card["sha256"] = {name: file_sha256(target / name) for name in card["sha256"] if (target / name).exists()}
    (target / "card.json").write_text(json.dumps(card))


def measured(service: Service, rounds: int) -> tuple[list[Change], float]:
    stream = service.add_stream(SAMPLE_URL)
    with service.subscribe() as subscriber:
        heard_of(subscriber, 0, second=False)
        time.sleep(UNDISTURBED_S)
        undisturbed_s = longest_silence(subscriber, time.monotonic() - UNDISTURBED_S, time.monotonic())
        pids = processes(service)
        changes = [change(service, subscriber, "promoted, converted first"), change(service, subscriber, "rolled back")]
        for _ in range(rounds):
            changes += [change(service, subscriber, what) for what in ("promoted", "rolled back")]
        if processes(service) != pids or service.stream(stream["id"])["restarts"]:
            raise RuntimeError("a process began anew meanwhile")
        if not somebody_went_on(subscriber):
            raise RuntimeError("nobody has labels of both versions: IDs do not go on")
    return changes, undisturbed_s


def processes(service: Service) -> list[int]:
    return sorted(each.pid for kind in ("stream_process", "inference_process") for each in service.children(kind))


def change(service: Service, subscriber: Subscriber, what: str) -> Change:
    second = what.startswith("promoted")
    route, body = ("promote", {"version": f"{FULL}@2", "force": True}) if second else ("rollback", {})
    asked, known = time.monotonic(), len(subscriber.messages)
    answer = service.client.post(f"/v1/models/{FULL}/{route}", json={"reason": "measured", **body}, timeout=1000)
    answered = time.monotonic()
    if answer.status_code != 200:
        raise RuntimeError(answer.text)
    heard = heard_of(subscriber, known, second=second)
    time.sleep(UNDISTURBED_S)
    silence_s = longest_silence(subscriber, asked, time.monotonic())
    print(f"{what}: answered after {answered - asked:.2f} s", flush=True)
    return Change(what, answered - asked, None if heard is None else heard - asked, silence_s)


def heard_of(subscriber: Subscriber, known: int, *, second: bool) -> float | None:
    """→ when the first label of a version came, of the messages after so many."""

    def found() -> float | None:
        for at, message in subscriber.messages[known:]:
            if any((track["model"] or "").endswith("@2") == second for track in labelled(message)):
                return at
        return None

    try:
        return float(wait_for(found, 60, "a label of the version"))
    except AssertionError:
        return None


def labelled(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [track for track in message.get("tracks", ()) if track["model"]] if message["type"] == "tracks" else []


def longest_silence(subscriber: Subscriber, since: float, until: float) -> float:
    moments = [at for at, message in subscriber.messages if message["type"] == "tracks" and since <= at <= until]
    edges = [since, *moments, until]
    return max(later - earlier for earlier, later in itertools.pairwise(edges))


def somebody_went_on(subscriber: Subscriber) -> bool:
    versions: dict[int, set[bool]] = {}
    for _, message in subscriber.messages:
        for track in labelled(message):
            versions.setdefault(track["track_id"], set()).add(track["model"].endswith("@2"))
    return any(len(both) == 2 for both in versions.values())


def print_table(changes: list[Change], undisturbed_s: float) -> None:
    print(f"\n{describe_host()}; the longest silence of {UNDISTURBED_S:.0f} s before: {undisturbed_s:.2f} s\n")
    print("| | answered, s (all) | heard, s | longest silence, s |\n|---|---|---|---|")
    for what in dict.fromkeys(each.what for each in changes):
        of = [each for each in changes if each.what == what]
        answered = ", ".join(f"{each.answered_s:.2f}" for each in of)
        heard = [each.heard_s for each in of if each.heard_s is not None]
        middle = f"{statistics.median(heard):.1f}" if heard else "none"
        print(f"| {what} | {answered} | {middle} | {max(each.silence_s for each in of):.2f} |")


if __name__ == "__main__":
    main()
