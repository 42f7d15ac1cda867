"""A node's recordings in S3: sent by the node, played by the API whether the node lives or not, deleted everywhere."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import pytest

from models.store.address import Address
from models.store.opening import open_store
from models.store.protocol import Store
from tests.e2e.conftest import CACHE
from tests.e2e.test_bucket import cover, recordings
from tests.e2e.test_cluster import JOIN_S
from tests.models.store.conftest import aws, bucket, credentials, proxy  # noqa: F401 - fixtures
from tests.service.storage.conftest import cluster_url  # noqa: F401 - a fixture
from tests.support.cluster import Cluster, ClusterNode
from tests.support.postgres import postgres_url  # noqa: F401 - a fixture
from tests.support.s3 import CREDENTIALS, GONE, FaultProxy
from tests.support.service import SAMPLE_URL, Service, wait_for

SENT_S = 300.0  # what waits is tried again within a minute, as are copies that may go

pytestmark = [pytest.mark.exhaustive, pytest.mark.slow]


@pytest.mark.timeout(1200)
def test_recordings_of_a_node_outlive_it(
    tmp_path: Path,
    cluster_url: str,  # noqa: F811
    quick: dict[str, str],
    bucket: str,  # noqa: F811
    proxy: FaultProxy,  # noqa: F811
):
    place = {"store": f"s3://{bucket}/site", "s3_endpoint": proxy.url, "recordings_local_hours": "0"}
    there = open_store(Address(bucket, "site"), proxy.url)
    with Cluster(tmp_path, CACHE, cluster_url, segment_s="2", **place, **quick) as cluster:
        api = cluster.add_api()
        api.environment.update(CREDENTIALS)
        api.start(ready=False)
        node = cluster.add_node("a")
        cluster.wait_linked(api, 1, JOIN_S)
        made = bucket_is_away_for_a_while(api, proxy)
        copies_go_and_everything_plays(api, node, made)
        unsent = recorded_while_it_is_away(api, proxy, made)
        node.kill()
        proxy.judge = lambda method, path: None
        node_is_gone(api, made[0], unsent)
        deleted_everywhere(api, there, made[1])
        another_api_reads(cluster, made[0])
        it_is_back(api, node, there, unsent)


def of_node(api: Service) -> dict[str, Any]:
    (item,) = api.client.get("/v1/nodes").json()["items"]
    return dict(item["bucket"])


def waits_by_system_page(api: Service) -> bool:
    told = api.client.get("/v1/system").json()["machine"]
    return bool(told["bucket"]["waiting"] and told["cluster"]["items"][0]["bucket"]["waiting"])


def bucket_is_away_for_a_while(api: Service, proxy: FaultProxy) -> list[dict[str, Any]]:  # noqa: F811
    """→ what was recorded meanwhile, the newest first: all of it is in the bucket afterwards."""
    proxy.judge = lambda method, path: GONE
    stream = api.add_stream(SAMPLE_URL, record=True)["id"]
    made = wait_for(lambda: cover(recordings(api), 3.0), 120, "recordings, without a bucket")
    assert {each["place"] for each in made} == {"local"}
    wait_for(lambda: of_node(api)["waiting"] >= 2 * len(made), 90, "the node says that they wait")
    wait_for(lambda: "not reached" in of_node(api)["problem"], 90, "it says why")
    wait_for(lambda: "node a does not send" in api.client.get("/readyz").json()["bucket"], 90, "so does the API")
    wait_for(lambda: waits_by_system_page(api), 90, "the system page says so, in all and by node")
    wait_for(lambda: 'actoscope_node_bucket_failing{node="a"} 1.0' in api.client.get("/metrics").text, 90, "metrics")
    api.client.patch(f"/v1/streams/{stream}", json={"record": False})
    proxy.judge = lambda method, path: None
    wait_for(lambda: {each["place"] for each in recordings(api)} == {"s3"}, SENT_S, "all of it is in the bucket")
    wait_for(lambda: api.client.get("/readyz").json()["bucket"] == "ok", 90, "all is well")
    found = recordings(api)
    assert {each["id"] for each in made} <= {each["id"] for each in found}
    return found


def copies(node: ClusterNode) -> list[Path]:
    return list((node.log_path.parent / "data" / "recordings").rglob("2*"))


def copies_go_and_everything_plays(api: Service, node: ClusterNode, made: list[dict[str, Any]]) -> None:
    wait_for(lambda: not copies(node), SENT_S, "the node's copies are gone")
    for each in made:
        plays(api, each)
        assert api.client.get(each["events"]).status_code == 200


def plays(api: Service, recording: dict[str, Any]) -> None:
    whole = api.client.get(recording["video"])
    assert whole.status_code == 200, whole.text
    with av.open(io.BytesIO(whole.content)) as video:
        assert sum(1 for _ in video.decode(video=0)) == recording["frames"]
    part = api.client.get(recording["video"], headers={"Range": "bytes=100-299", "If-Range": whole.headers["etag"]})
    assert (part.status_code, part.content) == (206, whole.content[100:300])


def recorded_while_it_is_away(api: Service, proxy: FaultProxy, made: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: F811
    """→ a recording that is on the node alone."""
    proxy.judge = lambda method, path: GONE
    known = {each["id"] for each in made}
    api.client.patch(f"/v1/streams/{made[0]['stream_id']}", json={"record": True})
    found = wait_for(lambda: [each for each in recordings(api) if each["id"] not in known], 120, "a new one")
    return dict(found[0])


def node_is_gone(api: Service, sent: dict[str, Any], unsent: dict[str, Any]) -> None:
    wait_for(lambda: not api.client.get("/v1/nodes").json()["items"][0]["alive"], 60, "the node is silent")
    plays(api, sent)
    refused = api.client.get(unsent["video"])
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 10
    assert "lies on node a alone" in refused.json()["detail"]
    assert "it is away" in of_node(api)["problem"]


def keys(there: Store, recording: dict[str, Any]) -> list[str]:
    """→ of all objects of its stream."""
    return [each.key for each in there.list(f"recordings/{recording['stream_id']}")]


def deleted_everywhere(api: Service, there: Store, recording: dict[str, Any]) -> None:
    before = keys(there, recording)
    assert len(before) >= 2 * len([each for each in recordings(api) if each["place"] == "s3"])
    assert api.client.delete(f"/v1/recordings/{recording['id']}").status_code == 204
    assert api.client.get(f"/v1/recordings/{recording['id']}").status_code == 404
    left = wait_for(lambda: len(now := keys(there, recording)) == len(before) - 2 and now, 90, "its objects are gone")
    assert set(left) < set(before)


def another_api_reads(cluster: Cluster, recording: dict[str, Any]) -> None:
    second = cluster.add_api()
    second.environment.update(CREDENTIALS)
    second.start(ready=False)
    wait_for(lambda: second.client.get("/healthz").status_code == 200, 60, "it answers")
    plays(second, recording)


def it_is_back(api: Service, node: ClusterNode, there: Store, unsent: dict[str, Any]) -> None:
    """What was on it alone goes to the bucket, and can be deleted everywhere."""
    api.client.patch(f"/v1/streams/{unsent['stream_id']}", json={"record": False})
    node.start()

    def places() -> dict[str, str]:
        return {each["id"]: each["place"] for each in recordings(api)}

    wait_for(lambda: places().get(unsent["id"]) == "s3", JOIN_S, "it is in the bucket")
    wait_for(lambda: set(places().values()) == {"s3"}, SENT_S, "so is all the rest")
    plays(api, unsent)
    deleted_everywhere(api, there, unsent)
    wait_for(lambda: not copies(node), SENT_S, "nothing stays on the node")
