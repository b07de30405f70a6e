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
from vidhub.errors import InputError, VideoError, WeightsError
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


def test_a_drawn_video_is_as_fast_as_the_original(tmp_path):
    render(tmp_path / "slow.mp4", frames=5, pts=[0, 400, 800, 1200, 1600])
    draw_video(tmp_path / "slow.mp4", tmp_path / "out.mp4")
    with VideoReader(tmp_path / "out.mp4") as out:
        assert (out.fps, out.num_frames) == (2.5, 5)


def test_predict_draw(tmp_path, capsys):
    assert main(["predict", "--sample", "--draw", str(tmp_path / "out.mp4"), "--device", "cpu"]) == 0
    with VideoReader(tmp_path / "out.mp4") as out:
        assert out.num_frames > 10
    assert main(["predict", "a.mp4", "b.mp4", "--draw", "c.mp4"]) == 2


def nobody(joints):
    return Persons(np.zeros((0, 4)), np.zeros((0, joints, 2)), np.zeros((0, joints)))


def graph_network(layout):
    return vidhub.create_model("stgcnpp", layout=layout, num_classes=3, depths=(1, 1), width=16)


@pytest.mark.parametrize(
    "answer",
    [
        lambda n: [tuple(person(20))] * n,
        lambda n: [tuple(part.tolist() for part in person(20))] * n,
        lambda n: [tuple(torch.from_numpy(part) for part in person(20)), *[None] * (n - 1)],
    ],
    ids=["tuples", "lists", "nobody as None"],
)
def test_estimators_may_answer_plainly(answer, film):
    poses = find_poses(film, lambda frames: answer(len(frames)), num_frames=4)
    np.testing.assert_array_equal(poses.keypoints[0, 0], person(20).keypoints[0])


@pytest.mark.parametrize(
    "answer",
    [
        lambda n: None,
        lambda n: [person(20)] * (n + 1),
        lambda n: [5] * n,
        lambda n: [person(20)[:2]] * n,
        lambda n: [(1, 2, 3)] * n,
        lambda n: [person(20)._replace(scores=np.ones((1, 5)))] * n,
    ],
    ids=["None", "too many", "numbers", "without scores", "no arrays", "scores of another shape"],
)
def test_estimators_that_answer_otherwise_are_told(answer, film):
    with pytest.raises(InputError, match="poses must return boxes"):
        find_poses(film, lambda frames: answer(len(frames)))


@pytest.mark.parametrize(("layout", "joints"), [("coco", 17), ("openpose", 18), ("hand", 21)])
def test_nobody_in_a_video(layout, joints, film):
    with pytest.raises(VideoError, match=r"nobody was found in '.*film\.mp4'"):
        vidhub.predict(graph_network(layout), film, poses=lambda f: [nobody(joints)] * len(f), device="cpu")


def test_estimators_of_other_joints_are_told(film):
    with pytest.raises(InputError, match="must have 18 joints, not 17"):
        vidhub.predict(graph_network("openpose"), film, poses=lambda f: [person(20)] * len(f), device="cpu")


@pytest.mark.parametrize(
    ("layout", "error", "reason"),
    [
        ("openpose", InputError, "joints of 'coco'"),
        ("coco", WeightsError, "get the file by hand and put it into a folder and name that in VIDHUB_MIRROR"),
    ],
)
def test_the_default_estimator_is_not_fetched_for_other_joints(layout, error, reason, film, monkeypatch, tmp_path):
    monkeypatch.setenv("VIDHUB_OFFLINE", "1")
    monkeypatch.setenv("VIDHUB_CACHE", str(tmp_path))
    with pytest.raises(error, match=reason):
        vidhub.predict(graph_network(layout), film, device="cpu")


@pytest.fixture
def stored(tmp_path):
    """Somebody who walks through the film, as COCO's results."""
    people = []
    for t in range(20):
        joints = np.append(person(10 + t).keypoints[0], np.ones((17, 1)), 1)
        people.append({"image_id": t, "score": 0.9, "keypoints": joints.ravel().tolist()})
    path = tmp_path / "keypoints.json"
    path.write_text(json.dumps(people))
    return path


def test_stored_skeletons_go_with_a_video(film, stored):
    model = small("posec3d_x3d")
    alone = vidhub.predict(model, {"keypoint": read_pose_json(stored).keypoints, "img_shape": (48, 64)}, device="cpu")
    for poses in (str(stored), stored, read_pose_json(stored, size=(48, 64))):
        found = vidhub.predict(model, film, poses=poses, device="cpu")
        assert found.scores == pytest.approx(alone.scores, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "videos", "poses", "reason"),
    [
        ("posec3d_x3d", 2, {"keypoint": np.ones((1, 5, 17, 2))}, "stored poses are those of one video"),
        ("posec3d_x3d", 1, 5, "poses must be a function, or stored skeletons"),
        ("x3d_xs", 1, {}, "poses are for networks on skeletons"),
    ],
)
def test_stored_skeletons_that_do_not_go_with_a_video(name, videos, poses, reason, film):
    model = small(name) if name != "x3d_xs" else vidhub.create_model(name, num_classes=2)
    with pytest.raises(InputError, match=reason):
        vidhub.predict(model, [film] * videos, poses=poses, device="cpu")


def test_draw_stored_skeletons_from_the_command_line(film, stored, tmp_path, capsys):
    vidhub.save_checkpoint(graph_network("coco"), tmp_path / "net")
    options = ["--model", f"local-dir:{tmp_path / 'net'}", "--device", "cpu", "--draw", str(tmp_path / "out.mp4")]
    assert main(["predict", film, "--poses", str(stored), *options]) == 0
    with VideoReader(tmp_path / "out.mp4") as out, VideoReader(film) as before:
        changed = (out.get_frames([12]).float() - before.get_frames([12]).float()).abs().amax((0, 1))
    assert changed[10:30, 22:32].max() > 60
    assert main(["predict", str(stored), *options]) == 2
    assert "--poses" in capsys.readouterr().err


@pytest.mark.parametrize(("target", "reason"), [("out.xyz", "ends in .mp4"), ("nowhere/out.mp4", "there is no folder")])
def test_where_to_draw_is_checked_first(target, reason, tmp_path, capsys):
    assert main(["predict", "missing.mp4", "--draw", str(tmp_path / target), "--device", "cpu"]) == 2
    assert reason in capsys.readouterr().err


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


def landmarks(count, visibility=0.9):
    return [{"x": x / 99, "y": y / 99, "z": 0, "visibility": visibility} for x, y, _ in points(count)]


BODY, HAND = landmarks(33), landmarks(21)
FRAMES = {
    "an object of landmarks": ([{"landmark": BODY}], "coco", (1, 1)),
    "pose_landmarks": ([{"pose_landmarks": [BODY]}, {"pose_landmarks": []}], "coco", (1, 2)),
    "pose_landmarks of one": ([{"pose_landmarks": {"landmark": BODY}}], "coco", (1, 1)),
    "nobody": ([BODY, None, BODY], "coco", (1, 3)),
    "nothing": ([{"landmarks": BODY}, {"landmarks": None}], "coco", (1, 2)),
    "a frame": ({"landmarks": BODY}, "coco", (1, 1)),
    "a bare frame": (BODY, "coco", (1, 1)),
    "hands": ([{"multi_hand_landmarks": [HAND, HAND]}, {"multi_hand_landmarks": None}], "hand", (2, 2)),
    "hands as objects": ({"multi_hand_landmarks": [{"landmark": HAND}]}, "hand", (1, 1)),
    "a hand beside a body": ([{"pose_landmarks": BODY, "right_hand_landmarks": HAND}], "hand", (1, 1)),
}


@pytest.mark.parametrize(("content", "layout", "shape"), FRAMES.values(), ids=FRAMES)
def test_json_of_mediapipe_as_it_is_met(content, layout, shape, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    assert read_pose_json(path, layout).keypoints.shape[:2] == shape


@pytest.mark.parametrize("visibility", [None, 0.0])
def test_mediapipe_need_not_know_what_is_visible(visibility, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([landmarks(33, visibility)]))
    assert (read_pose_json(path).scores == 1).all()


def test_fractions_become_pixels(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([BODY]))
    record = read_pose_json(path, size=(198, 99))
    assert record.image_size == (198, 99)
    assert record.keypoints[0, 0, 5].tolist() == pytest.approx([12, 25])


def test_json_of_kinetics_skeletons(tmp_path):
    path = tmp_path / "a.json"
    someone = {"pose": [0.5, 0.25] * 18, "score": [0.5] * 18}
    frames = [{"frame_index": i, "skeleton": [someone] if i != 2 else []} for i in (1, 2, 4)]
    path.write_text(json.dumps({"data": frames, "label": "waving", "label_index": 3}))
    record = read_pose_json(path, "openpose")
    assert (record.label, record.num_frames, record.image_size) == (3, 4, (256, 340))
    assert record.keypoints[0, :, 0].tolist() == [[170, 64], [0, 0], [0, 0], [170, 64]]
    assert read_pose_json(path, "coco").scores[0, 0].tolist() == [0.5] * 17


def test_hands_of_openpose(tmp_path):
    path = tmp_path / "a.json"
    someone = {"pose_keypoints_2d": flat(25), "hand_left_keypoints_2d": [0] * 63, "hand_right_keypoints_2d": flat(21)}
    path.write_text(json.dumps({"people": [someone]}))
    assert read_pose_json(path, "hand").keypoints[0, 0].tolist() == [p[:2] for p in points(21)]
    assert read_pose_json(path, "openpose_25").keypoints.shape == (1, 1, 25, 2)
    path.write_text(json.dumps({"people": [{"pose_keypoints_2d": flat(25)}]}))
    with pytest.raises(InputError, match="must have hand_left_keypoints_2d"):
        read_pose_json(path, "hand")


def test_annotations_of_coco_are_a_frame_for_each_image(tmp_path):
    path = tmp_path / "a.json"

    def joints(*flags):
        return [value for i in range(17) for value in (i + 1, i + 2, flags[i % len(flags)])]

    images = [{"id": i, "height": 480, "width": 640} for i in (7, 3, 5)]
    annotations = [
        {"image_id": 5, "keypoints": joints(0, 1, 2), "num_keypoints": 11},
        {"image_id": 7, "keypoints": joints(2), "iscrowd": 0},
        {"image_id": 7, "keypoints": joints(2), "iscrowd": 1},
        {"image_id": 3, "keypoints": joints(0), "num_keypoints": 0},
    ]
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    record = read_pose_json(path)
    assert record.image_size == (480, 640)
    assert record.scores.shape == (1, 3, 17)
    assert record.scores[0, :, :3].tolist() == [[1, 1, 1], [0, 0, 0], [0, 1, 1]]


def test_persons_in_json_are_followed(tmp_path):
    path, people = tmp_path / "a.json", []
    for t in range(6):
        both = [person(10 + t), person(40 - t, 0.5)]
        for one in both if t % 2 else both[::-1]:
            joints = np.append(one.keypoints[0], one.scores[0, :, None], 1)
            people.append({"image_id": t, "score": 0.9, "keypoints": joints.ravel().tolist()})
    path.write_text(json.dumps(people))
    places = read_pose_json(path).keypoints[:, :, 0, 0]
    assert places.tolist() == [[10, 11, 12, 13, 14, 15], [40, 39, 38, 37, 36, 35]]


def test_a_folder_of_json_is_a_video(tmp_path):
    for t in range(12):
        people = [{"pose_keypoints_2d": [v + t for v in flat(18)]}]
        (tmp_path / f"v_{t}_keypoints.json").write_text(json.dumps({"people": people}))
    model, record = small("posec3d_x3d"), read_pose_json(tmp_path)
    assert record.keypoints[0, :, 0, 0].tolist() == [1 + t for t in range(12)]  # 2 comes before 10
    found = vidhub.predict(model, str(tmp_path), device="cpu")
    assert found.scores == vidhub.predict(model, record, device="cpu").scores
