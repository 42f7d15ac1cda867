"""The pose network's adapter: which file is taken, what comes out, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.entities import Poses
from pipeline.errors import DetectorError
from pipeline.form.joints import ANKLE, HIP, NOSE, SHOULDER
from pipeline.letterbox import enlarged, shrunk
from pipeline.openvino import run_statement
from pipeline.pose import PoseConfig, PoseNetwork, find_pose_weights
from tests.support.places import SHARED
from tests.support.pose_network import column, write_network

WEIGHTS = SHARED / "weights" / "yolov8n-pose-int8_openvino_model"
CLIP = SHARED / "data" / "workout" / "squats" / "squat_11.mp4"
BODY = np.tile(np.array([32, 32, 0.8], np.float32), (17, 1))


def loaded(folder: Path, output: np.ndarray) -> PoseNetwork:
    return PoseNetwork.load(write_network(folder, output), PoseConfig(cache_dir=folder / "cache"))


def test_anchors_become_bodies_in_the_pictures_own_pixels_one_for_each_person(tmp_path):
    one, same = column((32, 32, 20, 40), 0.9, BODY), column((33, 32, 20, 40), 0.6, BODY)
    weak = column((10, 32, 8, 8), 0.1, BODY)
    network = loaded(tmp_path / "pose", np.stack([weak, same, one], axis=1))
    (found,) = network.find([np.zeros((64, 128, 3), np.uint8)])  # letterboxed by half, 16 rows above and below
    assert len(found) == 1 and found.confidences == pytest.approx([0.9])
    np.testing.assert_allclose(found.boxes_xyxy, [[44, 0, 84, 64]], atol=1)
    np.testing.assert_allclose(found.keypoints[0, NOSE], [64, 32, 0.8], atol=1)
    assert found.keypoints.shape == (1, 17, 3) and found.keypoints.dtype == np.float32


def test_rows_of_an_end_to_end_network_are_read_too(tmp_path):
    row = np.concatenate([np.array([22, 12, 42, 52, 0.9, 0], np.float32), BODY.ravel()])
    (found,) = loaded(tmp_path / "pose", np.stack([row, row * 0])).find([np.zeros((64, 64, 3), np.uint8)])
    np.testing.assert_allclose(found.boxes_xyxy, [[22, 12, 42, 52]])
    np.testing.assert_allclose(found.keypoints[0], BODY, atol=1e-3)


def test_picture_without_people_has_no_bodies(tmp_path):
    (found,) = loaded(tmp_path / "pose", np.zeros((56, 5), np.float32)).find([np.zeros((9, 9, 3), np.uint8)])
    assert len(found) == 0 and found.keypoints.shape == (0, 17, 3)


def test_network_of_another_kind_is_refused_with_what_is_expected(tmp_path):
    with pytest.raises(DetectorError, match="17 keypoints"):
        loaded(tmp_path / "pose", np.zeros((84, 5), np.float32))


def test_weights_are_those_named_else_those_in_the_folder_else_a_message_how_to_get_some(tmp_path):
    with pytest.raises(DetectorError, match="ACTOSCOPE_POSE_WEIGHTS or put it into weights/pose; none is shipped"):
        find_pose_weights(None, tmp_path)
    with pytest.raises(DetectorError, match=r"no pose network at .*gone"):
        find_pose_weights(tmp_path / "gone", tmp_path)
    folder = write_network(tmp_path / "pose" / "yolo_openvino_model", np.zeros((56, 5), np.float32))
    assert find_pose_weights(None, tmp_path) == folder / "pose.xml"
    other = tmp_path / "other.onnx"
    other.touch()
    assert find_pose_weights(other, tmp_path) == other


def test_small_picture_and_its_poses_back():
    small, scale = shrunk(np.zeros((1080, 1920, 3), np.uint8), 640)
    assert small.shape == (360, 640, 3)
    keypoints = np.full((1, 17, 3), 0.5, np.float32)
    keypoints[..., :2] = (320, 180)
    poses = Poses(np.array([[300, 100, 340, 200]], np.float32), np.array([0.9], np.float32), keypoints)
    back = enlarged(poses, scale)
    np.testing.assert_allclose(back.boxes_xyxy, [[900, 300, 1020, 600]], rtol=1e-5)
    np.testing.assert_allclose(back.keypoints[0, 0], [960, 540, 0.5], rtol=1e-5)
    image = np.zeros((360, 640, 3), np.uint8)
    assert shrunk(image, 640)[0] is image


@pytest.mark.skipif(not (WEIGHTS.is_dir() and CLIP.is_file()), reason="../shared has no pose network or workout")
def test_real_network_finds_a_standing_man(tmp_path):
    capture = cv2.VideoCapture(str(CLIP))
    _, bgr = capture.read()
    capture.release()
    network = PoseNetwork.load(WEIGHTS, PoseConfig(cache_dir=tmp_path))
    body = network.find([np.ascontiguousarray(bgr[..., ::-1])])[0].keypoints[0]
    assert body[[SHOULDER, HIP, ANKLE], 2].min() > 0.5
    assert body[SHOULDER, 1] < body[HIP, 1] < body[ANKLE, 1]


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
def test_network_in_ultralytics_own_format_is_exported_once(tmp_path):
    file, cache = tmp_path / "random-pose.pt", tmp_path / "cache"
    made = "import sys; from ultralytics import YOLO; YOLO('yolov8n-pose.yaml').save(sys.argv[1])"
    run_statement(made, str(file), environment={"YOLO_CONFIG_DIR": str(tmp_path), "YOLO_OFFLINE": "true"})
    network = PoseNetwork.load(file, PoseConfig(image_size=96, confidence=0.99, cache_dir=cache))
    assert network.description.startswith("network OpenVINO")
    (found,) = network.find([np.zeros((60, 90, 3), np.uint8)])
    assert found.keypoints.shape[1:] == (17, 3)
    exports = sorted((cache / "openvino").glob("*/*.xml"))
    PoseNetwork.load(file, PoseConfig(image_size=96, cache_dir=cache))
    assert sorted((cache / "openvino").glob("*/*.xml")) == exports and len(exports) == 1
