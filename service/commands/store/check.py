"""``actoscope store check``: what a store can do, and what of recordings waits for it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from models.errors import NotStoredError, StoreError
from models.store.address import Address, Place, parse_place
from models.store.check import Outcome, check_store
from models.store.protocol import Store
from service.bucket.keys import OWNER_KEY
from service.cluster.cluster_bucket import trouble_of
from service.commands.audit.stored import NoDatabase, with_database
from service.commands.exit_status import EXIT_FAILED
from service.commands.printing import say, show_table
from service.commands.store_place import add_store, open_named
from service.settings import load_settings
from service.storage.cluster.nodes import Node
from service.storage.cluster.objects import LeaderObjects
from service.storage.database import Database
from service.storage.objects import ObjectStore, Waiting
from service.wire_messages import rfc3339

_MB = 1e6


def add_options(parser: argparse.ArgumentParser) -> None:
    add_store(parser, "store", nargs="?")


def run(arguments: argparse.Namespace) -> int:
    """Raises StoreError where there is no store at all."""
    place, store = open_named(arguments.store)
    cluster = _cluster(place)
    outcomes = list(check_store(store))
    if cluster is not None:
        outcomes += [_is_the_cluster_s(cluster, place), _is_claimed(cluster, store)]
    rows = [(outcome.what, outcome.words or "yes") for outcome in outcomes]
    show_table([*rows, *_of_recordings(place), *_of_nodes(cluster)], heading=False)
    failed = sum(bool(outcome.words) for outcome in outcomes)
    say(f"{place}: {f'{failed} of {len(outcomes)} cannot be done' if failed else 'all can be done'}")
    return EXIT_FAILED if failed else 0


def _is_ours(place: Place) -> bool:
    """Whether it is where recordings go by the setting of this machine."""
    setting = load_settings().store
    return isinstance(place, Address) and bool(setting) and parse_place(setting) == place


def _of_recordings(place: Place) -> list[tuple[str, str]]:
    """→ what waits by the service's database; nothing where its recordings do not go there, or it has never run.

    Raises StoreError (the database's).
    """
    if not _is_ours(place):
        return []
    try:
        waiting = with_database(lambda database: ObjectStore(database).waiting())
    except NoDatabase:
        return []
    return [
        ("files of recordings that wait for it", _waits(waiting)),
        ("deletions that wait for it", f"{waiting.deletions}"),
        ("files of recordings that are missing", f"{waiting.missing}"),
    ]


def _waits(waiting: Waiting) -> str:
    since = "" if waiting.oldest is None else f" ({waiting.bytes / _MB:.1f} MB), since {rfc3339(waiting.oldest)}"
    return f"{waiting.files}{since}"


# -- of a cluster


@dataclass(frozen=True, slots=True)
class _Cluster:
    """``place``: where its recordings go; ``owner``: what names it there."""

    place: str
    owner: str
    nodes: dict[str, Node]
    waiting: dict[str, Waiting]


def _cluster(place: Place) -> _Cluster | None:
    """→ None where this machine is none of a cluster, or the place is not the one of its recordings."""
    if load_settings().database_url is None or not _is_ours(place):
        return None

    async def look(database: Database) -> _Cluster | None:
        objects = LeaderObjects(database)
        nodes, waiting = await objects.of_nodes()
        return _Cluster(await objects.place(), await objects.owner(), nodes, waiting) if nodes else None

    return with_database(look)


def _is_the_cluster_s(cluster: _Cluster, place: Place) -> Outcome:
    what = "is where the cluster's recordings go"
    if cluster.place == str(place):
        return Outcome(what)
    return Outcome(what, f"no: they go to {cluster.place}" if cluster.place else "no: no API has claimed one yet")


def _is_claimed(cluster: _Cluster, store: Store) -> Outcome:
    what = "belongs to this cluster"
    try:
        there = store.read(OWNER_KEY, 1024)[0].decode("utf-8", "replace")
    except NotStoredError:
        return Outcome(what, f"no: {OWNER_KEY} is not there")
    except StoreError as error:
        return Outcome(what, str(error))
    return Outcome(what, "" if there == cluster.owner else f"no: {OWNER_KEY} names {there}, this is {cluster.owner}")


def _of_nodes(cluster: _Cluster | None) -> list[tuple[str, str]]:
    if cluster is None:
        return []
    return [(f"of them at node {name}", _at(cluster, name, node)) for name, node in cluster.nodes.items()]


def _at(cluster: _Cluster, name: str, node: Node) -> str:
    waiting = cluster.waiting.get(name, Waiting())
    trouble = trouble_of(node, cluster.place, waiting)
    return _waits(waiting) + (f"; {trouble}" if trouble else "")
