"""Skeletons from videos and from JSON, who is who in them, and how they are drawn."""

import json

import numpy as np
import pytest
import torch
from media import render

import vidhub
from vidhub.cli import main
from vidhub.datasets.pose_files import read_pose_json
from vidhub.datasets.records import PoseRecord
from vidhub.datasets.video_io import VideoReader
from vidhub.engine.drawing import draw_video
from vidhub.engine.poses import KEYPOINT_RCNN, Persons, box_iou, find_poses, keypoint_rcnn, track_persons
from vidhub.errors import InputError
from vidhub.weights.skeletons import LAYOUTS


def person(x, score=1.0):
    """One person of 10 x 20 pixels whose joints are spread over the box."""
    box = np.array([[x, 10, x + 10, 30]], np.float32)
    joints = np.stack([np.linspace(x, x + 10, 17), np.linspace(10, 30, 17)], -1)[None].astype(np.float32)
    return Persons(box, joints, np.full((1, 17), score, np.float32))


def together(*persons):
    return Persons(*(np.concatenate(parts) for parts in zip(*persons, strict=True)))


NOBODY = Persons(np.zeros((0, 4)), np.zeros((0, 17, 2)), np.zeros((0, 17)))


def test_overlap():
    assert box_iou(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])) == pytest.approx(
        np.array([[1 / 3, 0]])
    )


def test_persons_keep_their_place_whatever_the_order_in_which_they_are_found():
    left, right = [person(10 + t) for t in range(6)], [person(40 - t, 0.5) for t in range(6)]
    seen = [together(a, b) if t % 2 else together(b, a) for t, (a, b) in enumerate(zip(left, right, strict=True))]
    seen[3] = left[3]  # the other one is not found
    boxes, keypoints, scores = track_persons(seen, joints=17)
    assert keypoints.shape == (2, 6, 17, 2)
    assert boxes[0, :, 0].tolist() == [10, 11, 12, 13, 14, 15]  # the surer one first
    assert boxes[1, :, 0].tolist() == [40, 39, 38, 0, 36, 35]
    assert not scores[1, 3].any()


def test_who_comes_back_late_is_someone_else():
    seen = [person(10)] + [NOBODY] * 8 + [person(10)]
    assert len(track_persons(seen, joints=17)[1]) == 2
    assert len(track_persons(seen, joints=17, max_gap=8)[1]) == 1
    assert track_persons([NOBODY] * 3, joints=17)[1].shape == (0, 3, 17, 2)


@pytest.fixture
def film(tmp_path):
    return str(render(tmp_path / "film.mp4", frames=20))


def test_find_poses(film):
    looked_at = []

    def estimator(frames):
        looked_at.append(frames.shape)
        return [person(len(looked_at) * 2.0)] * len(frames)

    poses = find_poses(film, estimator, num_frames=10)
    assert {shape[1:] for shape in looked_at} == {(3, 48, 64)}
    assert sum(shape[0] for shape in looked_at) == 10
    assert poses.keypoints.shape == (1, 10, 17, 2)
    assert poses.extra["frames"].tolist() == list(range(1, 20, 2))
    assert poses.image_size == (48, 64)


def small(name):
    args = {"depths": (1, 1), "width": 8} if name != "posec3d_c3d" else {"width": 4}
    return vidhub.create_model(name, num_classes=3, **args)


def test_predict_from_videos_and_from_stored_keypoints(film, tmp_path):
    model = small("posec3d_x3d")
    found = vidhub.predict(model, film, poses=lambda frames: [person(20)] * len(frames), device="cpu")
    keypoints, scores = np.repeat(person(20).keypoints[:, None], 20, 1), np.ones((1, 20, 17), np.float32)
    stored = {"keypoint": keypoints, "keypoint_score": scores, "img_shape": (48, 64)}
    record = PoseRecord("a", -1, 20, keypoints, scores, (48, 64))
    people = [
        {"image_id": t, "keypoints": np.append(keypoints[0, t], scores[0, t, :, None], 1).ravel().tolist()}
        for t in range(20)
    ]
    (tmp_path / "a.json").write_text(json.dumps(people))
    for source in (stored, record, tmp_path / "a.json"):
        other = vidhub.predict(model, source, device="cpu")
        assert other.scores == pytest.approx(found.scores, abs=1e-3)
    graph = vidhub.create_model("stgcnpp", layout="coco", num_classes=3, depths=(1, 1), width=16)
    assert len(vidhub.predict(graph, stored, views="test", device="cpu").scores) == 3
    estimator = type("", (), {"layout": "coco", "__call__": None})()
    with pytest.raises(InputError, match="joints of 'coco'"):
        vidhub.predict(vidhub.create_model("stgcnpp"), film, poses=estimator, device="cpu")
    with pytest.raises(InputError, match='has "keypoint"'):
        vidhub.predict(model, {}, device="cpu")


def test_the_default_estimator_is_the_published_network():
    from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights

    theirs = KeypointRCNN_ResNet50_FPN_Weights.COCO_V1
    assert theirs.url == KEYPOINT_RCNN.url
    with torch.device("meta"):
        network = keypoint_rcnn()
    assert sum(p.numel() for p in network.parameters()) == KEYPOINT_RCNN.num_params == theirs.meta["num_params"]


def test_draw(film, tmp_path):
    poses = find_poses(film, lambda frames: [person(30)] * len(frames), num_frames=5)
    draw_video(film, tmp_path / "out.mp4", ["waving 0.93"], poses, LAYOUTS["coco"])
    with VideoReader(tmp_path / "out.mp4") as out, VideoReader(film) as before:
        assert (out.num_frames, out.size) == (20, (48, 64))
        changed = (out.get_frames([7]).float() - before.get_frames([7]).float()).abs().amax((0, 1))
    assert changed[10:30, 30:40].max() > 60  # the skeleton
    assert changed[4:16, 4:30].max() > 60  # the text
    assert changed[40:, 45:].max() < 60
    with pytest.raises(InputError, match="no folder"):
        draw_video(film, tmp_path / "nowhere" / "out.mp4")


def test_predict_draw(tmp_path, capsys):
    assert main(["predict", "--sample", "--draw", str(tmp_path / "out.mp4"), "--device", "cpu"]) == 0
    with VideoReader(tmp_path / "out.mp4") as out:
        assert out.num_frames > 10
    assert main(["predict", "a.mp4", "b.mp4", "--draw", "c.mp4"]) == 2


def points(count):
    return [[float(i), i + 0.5, 0.9] for i in range(1, count + 1)]


def flat(count):
    return [value for point in points(count) for value in point]


def test_json_of_openpose(tmp_path):
    for t, count in enumerate((2, 1)):
        people = [{"pose_keypoints_2d": flat(25)}] * count
        (tmp_path / f"v_{t:012d}_keypoints.json").write_text(json.dumps({"people": people}))
    record = read_pose_json(tmp_path, "openpose")
    assert record.keypoints.shape == (2, 2, 18, 2)
    assert not record.keypoints[1, 1].any()
    assert record.keypoints[0, 0, [7, 8, 17], 0].tolist() == [8, 10, 19]  # without the middle of the hips
    coco = read_pose_json(tmp_path, "coco")
    assert coco.keypoints[0, 0, [0, 5, 6], 0].tolist() == [1, 6, 3]  # nose, left and right shoulder


def test_json_of_mediapipe_and_coco(tmp_path):
    path = tmp_path / "a.json"
    body = [{"x": x / 99, "y": y / 99, "z": 0, "visibility": s} for x, y, s in points(33)]
    path.write_text(json.dumps([body, []]))
    record = read_pose_json(path)
    assert record.keypoints.shape == (1, 2, 17, 2)
    assert record.image_size == (1080, 1920)  # of fractions, when nothing better is known
    assert (record.keypoints[0, 0, 5] / [1920, 1080] * 99).tolist() == pytest.approx([12, 12.5])
    hand = [{"x": x, "y": y} for x, y, _ in points(21)]
    path.write_text(json.dumps({"frames": [{"landmarks": [hand, hand]}]}))
    assert read_pose_json(path, "hand").keypoints.shape == (2, 1, 21, 2)
    annotations = [{"image_id": i, "keypoints": flat(17)} for i in (3, 3, 5)]
    path.write_text(json.dumps({"images": [], "annotations": annotations}))
    assert read_pose_json(path).keypoints.shape == (2, 2, 17, 2)
    assert read_pose_json(path).scores[0, 0, 0] == pytest.approx(0.9)
    with pytest.raises(InputError, match="17 joints where the layout has 21"):
        read_pose_json(path, "hand")
    for wrong in ({"a": 1}, [], [{"keypoints": [1, 2]}], [[1, 2]], [[{"z": 1}]]):
        path.write_text(json.dumps(wrong))
        with pytest.raises(InputError, match=r"a\.json"):
            read_pose_json(path)
