"""Client and server of the inference process over a real socket, with a scripted engine instead of networks."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.entities import Clip, Detections, Frame, Poses
from pipeline.errors import DetectorError
from service.budget.costs import Costs
from service.budget.plan import Plan, Tier
from service.counters import Measures
from service.engine import ModelUnavailable
from service.processes.inference_client import InferenceClient
from service.processes.inference_messages import Hello
from service.processes.inference_process import InferenceServer
from service.processes.transport import unix_address
from service.processes.version_messages import LoadNetworks, NetworksLoaded, ShadowNetworks
from tests.support.service import collect, wait_for

LABELS = ("standing", "walking")


class ScriptedEngine:
    """Finds one person per frame; scores a clip by its mean brightness; can be held up."""

    def __init__(self, cache_dir: Path):
        self.config = SimpleNamespace(model="m", detector_image_size=640, threads=1, cache_dir=cache_dir)
        self.measures = Measures()
        self.costs = Costs()
        self.sizes: list[int] = []
        self.batches: list[list[int]] = []
        self.keys: list[tuple[int, int]] = []
        self.gone: list[list[tuple[int, int]]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.no_poses = ""
        self.pose_s = 0.0
        self.there = {"m"}
        self.retired: set[str] = set()
        self.measured: list[str] = []
        self.made_room = False

    def batch_limit(self, model):
        return 4

    def scene_limit(self, model):
        return 0

    def classifier(self, name):
        if name not in self.there:
            raise ModelUnavailable(f"model {name!r} cannot be loaded: no such folder")
        return type("Classifier", (), {"labels": LABELS})

    def forget(self, gone):
        self.gone.append([key for key in self.keys if gone(key)])

    def loaded(self, name):
        return name in self.there

    def keep(self, names):
        self.retired -= set(names)

    def retire(self, names):
        self.retired |= set(names)

    def drop_retired(self, but=()):
        self.made_room = True
        self.there -= self.retired - set(but)

    def unload(self, name):
        self.there.discard(name)

    def measure_clip(self, name):
        self.measured.append(name)

    def classify_beside(self, model, classifier, clip):
        return np.array([0.25, 0.75], np.float32)

    def detect(self, images, expected, image_size=0):
        self.sizes.append(image_size)
        boxes = [np.array([[0, 0, 1, float(image[0, 0, 0])]], np.float32) for image in images]
        return [Detections(box, np.ones(1, np.float32), np.ones((1, 2), np.float32)) for box in boxes]

    def pose_network(self):
        time.sleep(self.pose_s)
        if self.no_poses:
            raise DetectorError(self.no_poses)

    def find_poses(self, image):
        self.pose_network()
        self.gate.wait(10)
        value = float(image[0, 0, 0])
        return Poses(np.array([[0, 0, 5, value]], np.float32), np.ones(1, np.float32), np.ones((1, 17, 3), np.float32))

    def classify(self, model, clips, keys):
        self.gate.wait(10)
        self.batches.append([track_id for _, track_id in keys])
        self.keys += keys
        share = np.array([clip.stack().mean() / 255 for clip in clips], np.float32)
        return np.stack([1 - share, share], axis=1)


@pytest.fixture
def engine(tmp_path):
    return ScriptedEngine(tmp_path)


@pytest.fixture
def server(engine, tmp_path):
    failures: list[str] = []
    running = InferenceServer(engine, unix_address(tmp_path / "inference.sock"))
    running.start(failures.append)
    yield running
    running.close()
    assert failures == []


@pytest.fixture
def client(server, tmp_path):
    connected = InferenceClient(unix_address(tmp_path / "inference.sock"), Hello("str_1", "m"), Measures())
    wait_for(lambda: connected.connected, 5, "the client is connected")
    yield connected
    connected.close()


def frame(value: int) -> Frame:
    return Frame(np.full((4, 6, 3), value, np.uint8), 0, 0.0, 0.0, time.monotonic())


def clip(track_id: int, value: int, end_s: float = 1.0, model: str = "m") -> Clip:
    crops = tuple(np.full((8, 8, 3), value, np.uint8) for _ in range(4))
    return Clip(track_id, crops, 0.0, end_s, 5.0, time.monotonic(), 4, model=model)


def test_detect_answers_for_this_very_frame(client):
    for value in (3, 200):
        found = client.detect(frame(value), np.zeros((0, 4), np.float32))
        assert found.boxes_xyxy.tolist() == [[0, 0, 1, value]]
        assert found.features.shape == (1, 2)


def test_plan_decides_the_size_of_the_detectors_input_for_a_camera_and_not_for_a_file(server, client, engine, tmp_path):
    path = unix_address(tmp_path / "inference.sock")
    file = InferenceClient(path, Hello("str_2", "m"), Measures(), patient=True)
    wait_for(lambda: file.connected, 5, "the file is connected")
    plan = Plan(Tier.FULL, 1.0, 2.0, 320, 5.0, "a test")
    for connection in list(server._connections.values()):
        connection.advise(plan)
    wait_for(lambda: client.plan() == plan and file.plan().reason == "a test", 5, "both have heard of the plan")
    for each in (client, file):
        each.detect(frame(1), np.zeros((0, 4), np.float32))
    assert engine.sizes[-2:] == [320, 0]
    assert (file.plan().hop_s, file.plan().tier) == (0.0, Tier.FULL)
    file.close()


def test_poses_come_back_with_the_time_of_their_frame_and_in_its_pixels(client):
    wide = Frame(np.full((720, 1280, 3), 100, np.uint8), 0, 4.5, 0.0, 0.0)
    client.ask_poses(wide)
    (found,) = wait_for(client.take_poses, 5, "poses")
    assert found.time_s == 4.5
    assert found.poses.boxes_xyxy.tolist() == [[0, 0, 10, 200]]  # what was sent is half as large
    assert found.poses.keypoints[0, 0].tolist() == [2, 2, 1]
    assert client.take_poses() == []


def test_newer_picture_takes_the_place_of_one_that_waits_for_poses(client, engine):
    engine.gate.clear()
    for at in range(4):
        client.ask_poses(Frame(np.full((8, 8, 3), at, np.uint8), at, float(at), 0.0, 0.0))
        time.sleep(0.1)
    engine.gate.set()
    got = collect(client.take_poses, 2, 5, "the one at work and the newest")
    assert [each.time_s for each in got] == [0.0, 3.0]
    assert engine.measures.value("poses_skipped_total") == 2


def test_file_has_its_poses_when_it_goes_on_and_goes_on_without_a_network(server, engine, tmp_path):
    hello = Hello("str_2", "m", poses=True)
    engine.no_poses = "there is no pose network"
    file = InferenceClient(unix_address(tmp_path / "inference.sock"), hello, Measures(), patient=True)
    wait_for(lambda: file.connected, 5, "the file is connected")
    file.ask_poses(frame(1))
    assert [len(each.poses) for each in file.take_poses()] == [0]
    server.tick()
    wait_for(lambda: file.plan().no_poses == "there is no pose network", 5, "the stream is told why")
    assert file.plan().poses_hz == 0
    engine.no_poses = ""
    file.ask_poses(frame(1))
    assert [len(each.poses) for each in file.take_poses()] == [1]
    file.close()


def test_a_pose_network_that_takes_its_time_and_fails_keeps_nobody_from_being_seen(server, engine, tmp_path):
    engine.no_poses, engine.pose_s = "it is no pose network", 1.5
    hello = Hello("str_2", "m", poses=True)
    stream = InferenceClient(unix_address(tmp_path / "inference.sock"), hello, Measures(), detect_timeout_s=0.5)
    wait_for(lambda: stream.connected, 5, "the stream is connected")
    server.tick()
    wait_for(lambda: stream.plan().no_poses == "the pose network is being prepared", 1, "it says what it waits for")
    assert stream.detect(frame(1), np.zeros((0, 4), np.float32)) is not None
    wait_for(lambda: server.tick() or stream.plan().no_poses == "it is no pose network", 5, "the stream is told why")
    assert stream.plan().no_poses_ever and stream.detect(frame(2), np.zeros((0, 4), np.float32)) is not None
    stream.close()


def test_submitted_clip_comes_back_as_scores_with_its_own_times(client):
    client.submit(clip(7, 255, end_s=2.5))
    scores = wait_for(client.take, 5, "scores")
    assert (scores[0].track_id, scores[0].end_s, scores[0].captured_at) == (7, 2.5, 5.0)
    assert scores[0].labels == LABELS
    np.testing.assert_allclose(scores[0].probabilities, [0, 1], atol=1e-6)


def test_newer_clip_replaces_a_waiting_one_and_the_skip_is_counted(client, engine):
    engine.gate.clear()
    client.submit(clip(1, 0))
    wait_for(lambda: client.waiting == 0, 5, "the first clip is fetched")
    for value in (10, 20, 255):
        client.submit(clip(2, value))
    assert client.waiting == 1
    assert client._measures.value("clips_skipped_total") == 2
    engine.gate.set()
    got = collect(client.take, 2, 5, "both tracks are scored")
    assert got[1].probabilities[1] == pytest.approx(1.0), "the newest clip is the one that counts"


def test_tracks_waiting_together_are_one_batch(client, engine):
    engine.gate.clear()
    client.submit(clip(1, 0))
    wait_for(lambda: client.waiting == 0, 5, "the first clip is fetched")
    for track in (2, 3, 4):
        client.submit(clip(track, 0))
    time.sleep(0.2)
    engine.gate.set()
    wait_for(lambda: len(engine.batches) == 2, 5, "two batches")
    assert engine.batches == [[1], [2, 3, 4]]


def test_forgotten_track_is_not_classified(client, engine):
    engine.gate.clear()
    client.submit(clip(1, 0))
    wait_for(lambda: client.waiting == 0, 5, "the first clip is fetched")
    client.submit(clip(2, 0))
    client.forget(2)
    engine.gate.set()
    client.submit(clip(3, 0))
    wait_for(lambda: [3] in engine.batches, 5, "the third track is classified")
    assert [2] not in engine.batches


def test_keys_of_tracks_tell_streams_apart_and_are_forgotten_with_track_and_stream(server, client, engine, tmp_path):
    other = InferenceClient(unix_address(tmp_path / "inference.sock"), Hello("str_2", "m"), Measures())
    wait_for(lambda: other.connected, 5, "the second client is connected")
    for sender, track in ((client, 1), (client, 2), (other, 1)):
        sender.submit(clip(track, 0))
    wait_for(lambda: len(engine.keys) == 3, 5, "all are classified")
    numbers = {track: {number for number, each in engine.keys if each == track} for track in (1, 2)}
    assert len(numbers[1]) == 2 and numbers[2] < numbers[1]
    client.forget(1)
    (own,) = numbers[2]
    wait_for(lambda: engine.gone == [[(own, 1)]], 5, "the track's keys are forgotten")
    client.close()
    wait_for(lambda: [sorted(keys) for keys in engine.gone[1:]] == [[(own, 1), (own, 2)]], 5, "the stream's keys too")
    other.close()


def test_client_goes_on_when_the_server_dies_and_comes_back(engine, tmp_path):
    path = unix_address(tmp_path / "inference.sock")
    first = InferenceServer(engine, path)
    first.start(pytest.fail)
    client = InferenceClient(path, Hello("str_1", "m"), Measures())
    wait_for(lambda: client.connected, 5, "connected")
    first.close()
    wait_for(lambda: not client.connected, 5, "the loss is noticed")
    assert client.detect(frame(1), np.zeros((0, 4), np.float32)) is None
    client.submit(clip(9, 255))
    second = InferenceServer(engine, path)
    second.start(pytest.fail)
    assert wait_for(client.take, 10, "the waiting clip is scored after the return")[0].track_id == 9
    client.close()
    second.close()


def test_model_that_cannot_be_loaded_is_a_problem_that_the_stream_can_tell(server, tmp_path):
    client = InferenceClient(unix_address(tmp_path / "inference.sock"), Hello("str_1", "other"), Measures())
    problem = wait_for(lambda: client.problem, 5, "a problem")
    assert "no such folder" in problem
    client.close()


def test_model_that_cannot_be_loaded_is_not_asked_for_again_at_once(server, engine, tmp_path):
    asked = []

    def classifier(name):
        asked.append(name)
        return ScriptedEngine.classifier(engine, name)

    engine.classifier = classifier
    client = InferenceClient(unix_address(tmp_path / "inference.sock"), Hello("str_2", "missing"), Measures())
    wait_for(lambda: client.problem, 5, "a problem")
    time.sleep(0.5)
    client.close()
    assert asked.count("missing") == 1


def test_patient_client_of_a_file_waits_until_inference_comes(engine, tmp_path):
    path = unix_address(tmp_path / "inference.sock")
    client = InferenceClient(path, Hello("str_1", "m"), Measures(), patient=True)
    found = []
    thread = threading.Thread(target=lambda: found.append(client.detect(frame(9), np.zeros((0, 4), np.float32))))
    thread.start()
    time.sleep(0.3)
    assert found == []
    server = InferenceServer(engine, path)
    server.start(pytest.fail)
    thread.join(10)
    assert found[0] is not None and found[0].boxes_xyxy[0, 3] == 9
    client.close()
    server.close()


def test_patient_client_stops_waiting_when_it_is_closed(tmp_path):
    client = InferenceClient(unix_address(tmp_path / "nobody.sock"), Hello("str_1", "m"), Measures(), patient=True)
    found = []
    thread = threading.Thread(target=lambda: found.append(client.detect(frame(9), np.zeros((0, 4), np.float32))))
    thread.start()
    client.close()
    thread.join(5)
    assert found == [None]


def test_finish_waits_for_the_clips_that_are_still_out(engine, server, tmp_path):
    client = InferenceClient(unix_address(tmp_path / "inference.sock"), Hello("str_1", "m"), Measures(), patient=True)
    wait_for(lambda: client.connected, 5, "the client is connected")
    engine.gate.clear()
    client.submit(clip(1, 255))
    threading.Timer(0.3, engine.gate.set).start()
    client.finish()
    assert [score.track_id for score in client.take()] == [1]
    client.close()


def test_worker_that_hangs_costs_one_timeout_and_a_new_connection(engine, server, tmp_path):
    client = InferenceClient(
        unix_address(tmp_path / "inference.sock"), Hello("str_1", "m"), Measures(), detect_timeout_s=0.3
    )
    wait_for(lambda: client.connected, 5, "the client is connected")
    release = threading.Event()
    answer, engine.detect = engine.detect, lambda *a: (release.wait(10), ScriptedEngine.detect(engine, *a))[1]
    assert client.detect(frame(1), np.zeros((0, 4), np.float32)) is None
    wait_for(lambda: client._measures.value("inference_disconnects_total") == 1, 5, "the connection was given up")
    engine.detect = answer
    release.set()
    wait_for(lambda: client.connected and client.detect(frame(7), np.zeros((0, 4), np.float32)), 10, "an answer again")
    client.close()


def test_stream_that_changes_its_networks_gets_answers_of_both_under_their_own_names(server, client, engine):
    engine.there |= {"m@2"}
    engine.gate.clear()
    client.submit(clip(1, 255))
    wait_for(lambda: client.waiting == 0, 5, "the clip for the former network is fetched")
    client.change_networks("m@2", "")
    client.submit(clip(2, 255, model="m@2"))
    engine.gate.set()
    got = collect(client.take, 2, 5, "both are scored")
    assert [(each.track_id, each.model) for each in got] == [(1, "m"), (2, "m@2")]
    assert engine.retired == {"m"}
    assert client._measures.value("inference_disconnects_total") == 0


def test_network_that_is_changed_while_the_worker_is_away_is_asked_for_after_its_return(engine, tmp_path):
    path = unix_address(tmp_path / "inference.sock")
    engine.there |= {"m@2"}
    client = InferenceClient(path, Hello("str_1", "m"), Measures())
    client.change_networks("m@2", "")
    client.submit(clip(1, 255, model="m@2"))
    server = InferenceServer(engine, path)
    server.start(pytest.fail)
    assert wait_for(client.take, 10, "scores")[0].model == "m@2"
    assert server._planner.networks() == {"m@2"}
    client.close()
    server.close()


def test_network_that_is_tried_judges_the_same_clip_and_answers_beside(server, client, engine):
    engine.there |= {"m@2"}
    server.try_beside(ShadowNetworks({"m": "m@2"}))
    client.submit(clip(1, 0, end_s=2.5))
    (told,) = wait_for(client.take, 5, "scores")
    ((champion, challenger),) = wait_for(client.take_judged, 5, "what the other one says")
    assert champion is told
    assert (challenger.model, challenger.end_s, challenger.track_id) == ("m@2", 2.5, 1)
    assert challenger.probabilities.tolist() == [0.25, 0.75]
    server.try_beside(ShadowNetworks({}))
    assert not engine.loaded("m@2"), "its memory is given back"
    client.submit(clip(1, 0, end_s=3.5))
    wait_for(client.take, 5, "scores")
    assert client.take_judged() == []


def test_version_is_loaded_beside_the_one_that_serves_and_waits_until_streams_ask_it(server, client, engine):
    def classifier(name):
        engine.there.add(name)
        return type("Classifier", (), {"labels": LABELS})

    engine.classifier = classifier
    answers: list[NetworksLoaded] = []
    server.networks.load(LoadNetworks(7, ("m", ""), ("n@2", "n-light@2")), answers.append)
    wait_for(lambda: answers, 5, "an answer")
    assert answers == [NetworksLoaded(7)]
    assert engine.there >= {"m", "n-light@2", "n@2"} and engine.measured == ["n-light@2", "n@2"]
    assert engine.retired == {"n-light@2", "n@2"}, "they give way where room is needed, until they are asked"
    client.change_networks("n@2", "n-light@2")
    wait_for(lambda: engine.retired == {"m"}, 5, "they are kept, the former is not")


@pytest.mark.parametrize(
    ("serving", "loaded"),
    [(("m", "m-light"), []), (("m", "n-light"), ["n"])],
    ids=["its lighter network answers", "a lighter network of both"],
)
def test_version_whose_lighter_network_is_still_there_does_not_wait_for_the_other(
    server, client, engine, serving: tuple[str, str], loaded: list[str]
):
    """Of both alike it would say nothing about the version."""
    engine.there |= {"m-light", "n-light"}
    fresh: list[str] = []

    def classifier(name):
        fresh.extend({name} - engine.there)
        engine.there.add(name)
        return type("Classifier", (), {"labels": LABELS})

    engine.classifier = classifier
    answers: list[NetworksLoaded] = []
    server.networks.load(LoadNetworks(9, serving, ("n", "n-light")), answers.append)
    wait_for(lambda: answers, 5, "an answer")
    assert answers == [NetworksLoaded(9)] and fresh == loaded
    assert engine.made_room == bool(loaded), "what has to be loaded has its room; else no load under way is waited for"


def test_version_that_cannot_be_loaded_says_why_and_leaves_nothing_loaded(server, client, engine):
    def classifier(name):
        if name == "n@2":
            raise ModelUnavailable("model 'n@2' cannot be loaded: it is damaged")
        engine.there.add(name)

    engine.classifier = classifier
    answers: list[NetworksLoaded] = []
    server.networks.load(LoadNetworks(8, ("m", ""), ("n@2", "n-light@2")), answers.append)
    wait_for(lambda: answers, 5, "an answer")
    assert answers == [NetworksLoaded(8, "model 'n@2' cannot be loaded: it is damaged")]
    assert engine.there == {"m"}
