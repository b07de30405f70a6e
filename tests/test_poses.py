"""From records of skeletons to network input, training and evaluation."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

import vidhub
from vidhub.cli import main
from vidhub.datasets.dataset import VideoDataset
from vidhub.datasets.records import PoseRecord, VideoRecord
from vidhub.datasets.skeleton import denoise_bodies
from vidhub.engine.prepare import create_network
from vidhub.engine.recipe import Recipe, change_recipe
from vidhub.errors import InputError
from vidhub.transforms import skeleton
from vidhub.transforms.heatmaps import joint_heatmaps
from vidhub.weights.skeletons import LAYOUTS
from vidhub.weights.types import SkeletonConfig

COCO = SkeletonConfig(layout="coco", normalize="2d", num_frames=8)
HEATMAPS = SkeletonConfig(kind="keypoint", layout="coco", num_frames=8, num_persons=3, normalize="none", size=24)


def walk(persons=1, frames=30, joints=17, coords=2, seed=0):
    """Smooth skeletons in a picture of 240 x 320, or in metres."""
    rng = np.random.default_rng(seed)
    start, end = (rng.uniform(40, 200, (persons, 1, joints, coords)) for _ in range(2))
    return (start + (end - start) * np.linspace(0, 1, frames)[:, None, None]).astype(np.float32)


@pytest.mark.parametrize("name", vidhub.list_models(task="skeleton"))
def test_every_network_takes_what_its_transform_gives(name):
    model = vidhub.create_model(name, num_classes=3)
    config = replace(model.data_config, num_frames=8, size=model.data_config.size and 32)
    coords = 2 if LAYOUTS[config.layout].scored else 3
    clip = vidhub.create_transform(config)(
        walk(joints=LAYOUTS[config.layout].num_joints, coords=coords), None, (240, 320)
    )
    assert clip.shape == (1, *config.view_shape)
    assert vidhub.create_transform(config, views="test").num_views == config.views[0] * config.views[1]
    with torch.inference_mode():
        assert model(clip).shape == (1, 3)


def test_views_and_training_clips():
    keypoints, scores = walk(2), np.ones((2, 30, 17), np.float32)
    views = vidhub.create_transform(COCO, views=(3, 2))(keypoints, scores, (240, 320))
    assert views.shape == (6, 2, 8, 17, 3)
    order = LAYOUTS["coco"].mirrored
    torch.testing.assert_close(views[3:, ..., 0], -views[:3][:, :, :, order, 0])
    train = vidhub.create_transform(COCO, training=True, rotate=20, scale=0.1, shift=0.1, crop_time=0.5, hflip=0.5)
    clips = [train(keypoints, scores, (240, 320), torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert clips[0].shape == (2, 8, 17, 3)
    assert torch.equal(clips[0], clips[1])
    assert not torch.equal(clips[0], clips[2])
    assert pickle.loads(pickle.dumps(train)) == train


def test_3d_skeletons_are_upright_whatever_the_camera_saw():
    config = SkeletonConfig(num_frames=8)
    keypoints = walk(1, joints=25, coords=3) / 100
    # shoulders at a right angle to the spine
    keypoints[0, 0, [0, 1, 4, 8]] = np.array([[0, 0, 0], [0, 0, 1], [-1, 0, 0.5], [1, 0, 0.5]]) + 2
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
    turn *= np.linalg.det(turn)
    transform = vidhub.create_transform(config)
    torch.testing.assert_close(transform(keypoints @ turn.T + 3), transform(keypoints), atol=1e-4, rtol=1e-4)


def test_heatmaps_show_the_persons_and_their_mirror_image():
    keypoints, scores = walk(2), np.full((2, 30, 17), 0.5, np.float32)
    scores[:, :, 3] = 0
    transform = vidhub.create_transform(HEATMAPS, views=(2, 2))
    maps = transform(keypoints, scores, (240, 320))
    assert maps.shape == (4, 17, 8, 24, 24)
    assert not maps[0, 3].any()
    assert 0.3 < maps[0, 0].max() <= 0.5
    torch.testing.assert_close(maps[2], maps[0].flip(-1)[LAYOUTS["coco"].mirrored])
    points, values = transform.points(keypoints, scores, (240, 320))
    torch.testing.assert_close(joint_heatmaps(points, values, size=(24, 24), sigma=0.6), maps[:2])
    limbs = vidhub.create_transform(replace(HEATMAPS, kind="limb"))(keypoints, scores, (240, 320))
    assert limbs.shape == (1, 17, 8, 24, 24)
    train = vidhub.create_transform(HEATMAPS, training=True, area=(0.5, 1.0), hflip=0.5)
    clip = train(keypoints, scores, (240, 320), torch.Generator().manual_seed(0))
    assert clip.shape == (17, 8, 24, 24)
    late = replace(train, late=True)
    packed = late(keypoints, scores, (240, 320), torch.Generator().manual_seed(0))
    assert packed.shape == (3, 8, 17, 3)
    torch.testing.assert_close(late.draw_batch(torch.stack([packed, packed]))[1], clip)


def test_nobody_is_there():
    assert not vidhub.create_transform(HEATMAPS)(np.zeros((0, 5, 17, 2)), None, (240, 320)).any()
    assert vidhub.create_transform(COCO)(np.zeros((0, 5, 17, 2)), None, (240, 320)).shape == (1, 2, 8, 17, 3)
    with pytest.raises(InputError, match="17"):
        vidhub.create_transform(COCO)(np.zeros((1, 5, 18, 2)))
    with pytest.raises(InputError, match="no frames"):
        vidhub.create_transform(COCO)(np.zeros((1, 0, 17, 2)))
    with pytest.raises(InputError, match="views of skeletons"):
        vidhub.create_transform(COCO, views=(2, 3))


def test_box_normalisation_forgets_place_and_size():
    keypoints = walk()
    out = skeleton.normalize_box(keypoints)
    assert out.min() == pytest.approx(-1, abs=1e-5)
    assert out.max() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(skeleton.normalize_box(keypoints * 3 + 10), out, atol=1e-5)


def test_box_normalisation_of_joints_that_nobody_sees():
    keypoints = walk()
    assert not skeleton.normalize_box(keypoints, np.zeros(keypoints.shape[:-1])).any()
    seen = np.zeros(keypoints.shape[:-1])
    seen[..., :5] = 1
    out = skeleton.normalize_box(keypoints, seen)
    assert np.abs(out[..., :5, :]).max() == pytest.approx(1, abs=1e-5)
    assert not out[..., 5:, :].any()


def test_data_sets_of_skeletons(tmp_path):
    boxes = np.random.default_rng(0).uniform(1, 9, (4, 17, 3))
    stored = PoseRecord("a", 1, 9, boxes, extra={"frame_inds": np.array([0, 0, 4, 8])})
    data = VideoDataset([stored, PoseRecord("b", 0, 30, walk())], vidhub.create_transform(COCO), num_classes=2)
    assert [(clip.shape, target) for clip, target in data] == [((1, 2, 8, 17, 3), 1), ((1, 2, 8, 17, 3), 0)]
    assert data.with_transform(None)[0][0].keypoints.shape == (2, 3, 17, 2)
    with pytest.raises(InputError, match="takes skeletons"):
        VideoDataset([VideoRecord("a.mp4", 0)], vidhub.create_transform(COCO))[0]
    with pytest.raises(InputError, match="of class 2"):
        VideoDataset([PoseRecord("a", 2, 30, walk())], num_classes=2)


@pytest.fixture
def poses(tmp_path):
    """Two classes: joints that move to the right, or to the left."""
    rng, annotations, split = np.random.default_rng(0), [], {"train": [], "val": [], "test": []}
    for part, count in (("train", 12), ("val", 6)):
        for i in range(count):
            name, direction = f"{part}{i}", 1 if i % 2 else -1
            path = direction * np.linspace(-60, 60, 20)[:, None] + 120
            keypoints = rng.uniform(-20, 20, (1, 1, 17, 2)) + np.stack([path, np.full_like(path, 120)], -1)
            split[part].append(name)
            annotations.append(
                {
                    "frame_dir": name,
                    "label": int(direction > 0),
                    "total_frames": 20,
                    "img_shape": (240, 240),
                    "keypoint": keypoints.astype(np.float16),
                    "keypoint_score": np.ones((1, 20, 17), np.float16),
                }
            )
    (tmp_path / "poses.pkl").write_bytes(pickle.dumps({"split": split, "annotations": annotations}))
    return tmp_path


def test_train_evaluate_and_fuse_streams(poses, tmp_path, capsys):
    scores = []
    for stream in ("joint", "bone_motion"):
        out = tmp_path / stream
        settings = ["model=stgcnpp", "model_args={depths: [1, 1], width: 16}", "dataset=poses", f"root={poses}"]
        settings += [f"skeleton={{num_frames: 8, num_persons: 1, streams: {stream}}}", f"out={out}"]
        settings += ["epochs=4", "batch_size=4", "lr=0.01", "workers=0", "device=cpu", "tensorboard=false"]
        assert main(["train", "--set", *settings]) == 0
        scores.append(tmp_path / f"{stream}_scores")
        command = ["eval", f"local-dir:{out}", "poses", str(poses), "--out", str(scores[-1]), "--workers", "0"]
        assert main([*command, "--device", "cpu"]) == 0
    model = vidhub.create_model(f"local-dir:{tmp_path / 'joint'}")
    assert model.data_config.layout == model.layout == "coco"  # it has as many joints
    assert model.num_classes == 2
    assert model.data_config.streams == ("joint",)
    capsys.readouterr()
    assert main(["eval", "--fuse", *map(str, scores)]) == 0
    assert "top1" in capsys.readouterr().out


def test_train_on_heatmaps(poses, tmp_path):
    settings = ["model=posec3d_x3d", "model_args={depths: [1, 1], width: 8}", "dataset=poses", f"root={poses}"]
    settings += ["skeleton={layout: coco, num_frames: 4, size: 16, kind: limb}", f"out={tmp_path / 'run'}"]
    settings += ["augment={area: [0.6, 1.0], hflip: 0.5}", "epochs=1", "batch_size=4", "workers=0", "device=cpu"]
    assert main(["train", "--set", *settings, "tensorboard=false"]) == 0


def test_recipe_says_what_is_wrong(poses, tmp_path, capsys):
    settings = ["dataset=poses", f"root={poses}", f"out={tmp_path / 'run'}", "device=cpu"]
    assert main(["train", "--set", *settings, "model=x3d_xs", "skeleton={layout: coco}"]) == 2
    assert "is for networks on skeletons" in capsys.readouterr().err
    assert main(["train", "--set", *settings, "model=stgcn", "skeleton={lay: coco}"]) == 2
    assert "'lay'" in capsys.readouterr().err


def test_bodies_that_are_no_persons_go():
    rng = np.random.default_rng(0)
    body = np.zeros((30, 25, 3), np.float32) + rng.normal(0, [0.15, 0.5, 0.2], (25, 3))  # higher than wide
    person = body + np.linspace(0, 1, 30)[:, None, None]
    other = body + np.linspace(0, 0.5, 30)[:, None, None]
    brief = np.where(np.arange(30)[:, None, None] < 5, person, 0)
    table = person * [5, 0.1, 1]
    found = denoise_bodies(np.stack([brief, other, table, person, np.zeros_like(person)]))
    np.testing.assert_array_equal(found, np.stack([person, other]))
    assert len(denoise_bodies(brief[None])) == 1
    assert denoise_bodies(np.zeros((0, 30, 25, 3))).shape == (0, 30, 25, 3)


def test_a_recipe_may_bring_a_skeleton_of_its_own(poses):
    edges = [[j, j - 1] for j in range(1, 17)]
    recipe = Recipe(model="stgcn", model_args={"layout": edges, "depths": [1, 1]})
    data = vidhub.create_dataset("poses", poses, "train")
    model = create_network(recipe, data)
    assert model.layout == model.data_config.layout == tuple(map(tuple, edges))
    assert model.num_classes == 2
    other = [PoseRecord("a", 0, 5, walk(joints=12))]
    with pytest.raises(InputError, match="12 joints"):
        create_network(change_recipe(recipe, model_args={}), VideoDataset(other))
