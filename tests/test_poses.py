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
from vidhub.engine.loading import training_loader
from vidhub.engine.prepare import create_network
from vidhub.engine.recipe import Recipe, change_recipe
from vidhub.errors import InputError, UnknownNameError, VideoError
from vidhub.transforms import skeleton
from vidhub.transforms.heatmaps import joint_heatmaps
from vidhub.transforms.skeleton import as_keypoints
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
    assert denoise_bodies(brief[None]).shape == (1, 5, 25, 3)
    assert denoise_bodies(np.zeros((0, 30, 25, 3))).shape == (0, 30, 25, 3)


@pytest.mark.parametrize(
    ("spans", "seen"),
    [
        ([(0, 50), (50, 100)], [100, 0]),  # one person, whose id changes
        ([(0, 50), (50, 100), (0, 100)], [100, 100]),  # the id of one of two
        ([(0, 51), (50, 100)], [100, 0]),  # both ids in one frame
        ([(0, 40), (60, 100)], [80, 0]),  # nobody for a while: these frames go
        ([(0, 100), (0, 100), (20, 80)], [100, 100]),  # a third one has no place
    ],
)
def test_bodies_whose_id_changes_are_joined(spans, seen):
    rng = np.random.default_rng(0)
    shape, bodies = rng.normal(0, [0.15, 0.5, 0.2], (25, 3)), np.zeros((len(spans), 100, 25, 3))
    for body, (first, stop) in zip(bodies, spans, strict=True):
        body[first:stop] = shape + 1 + np.linspace(0, 1, 100)[first:stop, None, None]
    persons = denoise_bodies(bodies)
    assert persons.shape[1] == max(seen)
    assert (persons != 0).any((2, 3)).sum(1).tolist() == seen


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


def poses_in(dims, joints=17, count=4, **more):
    """Records of skeletons in metres, or in pixels with scores."""
    rng, records = np.random.default_rng(0), []
    for i in range(count):
        keypoints = rng.normal(0, 0.4, (1, 20, joints, dims)) + ([0, 0, 3] if dims == 3 else [2, 2])
        scores = None if dims == 3 else np.ones((1, 20, joints))
        record = PoseRecord(f"video{i}", i % 2, 20, keypoints if dims == 3 else keypoints * 100, scores)
        records.append(replace(record, **more))
    return records


@pytest.mark.parametrize(
    ("records", "layout", "found"),
    [
        (poses_in(3), None, ("coco", 3, "3d")),
        (poses_in(3, 25), None, ("nturgb+d", 3, "3d")),
        (poses_in(2, 25), None, ("openpose_25", 2, "2d")),
        (poses_in(2, 25), "nturgb+d", ("nturgb+d", 2, "2d")),
        (poses_in(2, 20), None, ("kinect_v1", 2, "2d")),
        (poses_in(3, 3), ((0, 1), (2, 1)), (((0, 1), (2, 1)), 3, "3d")),
        # x, y and score in a picture
        (poses_in(2, keypoints=np.full((1, 20, 17, 3), 0.5), scores=None, image_size=(9, 9)), None, ("coco", 2, "2d")),
        ([*poses_in(3), PoseRecord("bad", 0, 1, np.ones((1, 1, 3, 2)))], None, ("coco", 3, "3d")),
    ],
)
def test_data_say_what_their_skeletons_are(records, layout, found, capsys):
    recipe = Recipe(model="stgcnpp", model_args={"depths": [1], "width": 8}, skeleton={"layout": layout})
    recipe = recipe if layout else replace(recipe, skeleton={})
    config = create_network(recipe, VideoDataset(records, num_classes=2)).data_config
    assert (config.layout, config.skeleton.dims, config.normalize) == found
    assert (f"taken as {found[0]!r}" in capsys.readouterr().err) == (layout is None)
    assert vidhub.create_transform(config).load(records[0]).shape[1:] == config.view_shape


@pytest.mark.parametrize(
    ("persons", "chosen", "found"), [(1, {}, 1), (2, {}, 2), (3, {}, 2), (1, {"num_persons": 2}, 2)]
)
def test_as_many_persons_as_the_data_show(persons, chosen, found):
    several = [replace(record, keypoints=record.keypoints.repeat(persons, 0)) for record in poses_in(3)]
    recipe = Recipe(model="stgcnpp", model_args={"depths": [1], "width": 8}, skeleton=chosen)
    assert create_network(recipe, VideoDataset(several, num_classes=2)).data_config.num_persons == found


def test_the_third_dimension_of_a_layout_of_ones_own_stays():
    config = SkeletonConfig(layout=((1, 0), (2, 1), (3, 2)), num_frames=8, num_persons=1)
    keypoints = poses_in(3, 4)[0].keypoints
    keypoints[..., 2] += np.linspace(0, 1, 20)[:, None]
    other = keypoints.copy()
    other[..., 2] = 3
    transform = vidhub.create_transform(config)
    assert not torch.allclose(transform(keypoints), transform(other), atol=0.1)
    bones = vidhub.create_transform(replace(config, streams=("bone",)))(keypoints)
    flat = vidhub.create_transform(replace(config, dims=3, normalize="none", streams=("bone",)))(keypoints)
    scale = np.linalg.norm(np.diff(keypoints[0, 0], axis=0), axis=-1).mean()
    # z is no score, of which bones would be means
    torch.testing.assert_close(bones, flat / float(scale), rtol=1e-4, atol=1e-4)


def test_3d_skeletons_of_any_layout_forget_place_and_unit():
    layout, keypoints = [(1, 0), (2, 1), (3, 2)], poses_in(3, 4)[0].keypoints
    keypoints[0, 3, 2] = 0  # not seen
    out = skeleton.normalize_person(keypoints, layout)
    assert not out[0, 0, 0].any()
    assert np.linalg.norm(np.diff(out[0, 0], axis=0), axis=-1).mean() == pytest.approx(1)
    assert not out[0, 3, 2].any()
    moved = np.where(keypoints == 0, 0, keypoints * 1000 + 5000)
    np.testing.assert_allclose(skeleton.normalize_person(moved, layout), out, atol=1e-5)


def test_skeletons_of_other_dimensions_are_refused():
    metres = poses_in(3)[0].keypoints
    for config in (COCO, HEATMAPS):
        with pytest.raises(InputError, match="takes 2D skeletons"):
            vidhub.create_transform(config)(metres)
    with pytest.raises(InputError, match="in pixels"):
        vidhub.create_transform(HEATMAPS)(metres[..., :2])
    with pytest.raises(InputError, match="3 coordinates"):
        vidhub.create_transform(SkeletonConfig(layout="coco"))(walk())
    recipe = Recipe(model="posec3d_x3d", model_args={"depths": [1, 1], "width": 8})
    with pytest.raises(InputError, match="heatmaps are drawn of 2D skeletons"):
        create_network(recipe, VideoDataset(poses_in(3), num_classes=2))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"normalize": "4d"}, "unknown way to normalize '4d'; did you mean '3d'"),
        ({"normalize": "3d"}, "normalize='3d' is not for skeletons in 2D"),
        ({"kind": "limbs"}, "did you mean 'limb'"),
        ({"kind": "limb", "size": 16}, "'stgcnpp' takes coordinates and no limb"),
        ({"num_persons": 0}, "num_persons of skeletons must be a positive number, not 0"),
        ({"num_frames": "many"}, "num_frames of skeletons must be a positive number, not 'many'"),
        ({"stream": "bone"}, "unknown key of skeleton 'stream'; did you mean 'streams'"),
        ({"streams": ["bones"]}, "unknown stream 'bones'"),
        ({"num_coords": 4}, "num_coords and dims are 2 or 3"),
        ({"sigma": 0}, "sigma of heatmaps must be above 0"),
    ],
)
def test_values_of_the_recipes_skeletons_are_checked(changes, reason):
    recipe = Recipe(model="stgcnpp", model_args={"depths": [1], "width": 8}, skeleton=changes)
    with pytest.raises((InputError, UnknownNameError), match=reason):
        create_network(recipe, VideoDataset(poses_in(2), num_classes=2))


BROKEN = {
    "no box": {"keypoints": np.zeros((0, 17, 3)), "extra": {"frame_inds": np.zeros(0, int)}},
    "boxes": {"keypoints": np.ones((4, 17, 3)), "extra": {"frame_inds": np.zeros(3, int)}},
    "nobody": {"keypoints": np.zeros((0, 20, 17, 2)), "scores": None},
    "no frames": {"keypoints": np.zeros((1, 0, 17, 2)), "scores": None},
    "joints": {"keypoints": np.ones((1, 20, 18, 2)), "scores": None},
    "scores": {"scores": np.ones((1, 20, 5))},
}


@pytest.mark.parametrize("changes", BROKEN.values(), ids=BROKEN)
def test_skeletons_that_cannot_be_used_are_replaced(changes):
    good = poses_in(2)
    data = VideoDataset([replace(good[0], name="broken", **changes), *good[1:]], vidhub.create_transform(COCO))
    with pytest.raises(VideoError, match="'broken'"):
        data[0]
    loader = training_loader(data, batch_size=4, batches=range(1), epoch_length=1)
    (batch,) = list(loader)
    assert len(batch.failures) >= 1
    assert batch.data[0].shape[0] == 4


def test_keypoints_come_as_lists_or_tensors_and_need_not_be_finite():
    array = walk(2, joints=4)
    for given in (array.tolist(), torch.from_numpy(array), array.astype(np.float64)):
        keypoints, scores = as_keypoints(given, np.ones((2, 30, 4)).tolist())
        np.testing.assert_allclose(keypoints, array, rtol=1e-6)
        assert scores.dtype == np.float32
    bad = array.copy()
    bad[0, 2, 3, 1], bad[1, 4, 0, 0] = np.nan, np.inf
    keypoints, scores = as_keypoints(bad, np.ones((2, 30, 4)))
    assert not keypoints[[0, 1], [2, 4], [3, 0]].any()
    assert scores.sum() == 2 * 30 * 4 - 2
    assert as_keypoints(array[0], np.ones((30, 4)))[1].shape == (1, 30, 4)  # one person


@pytest.mark.parametrize(
    ("keypoints", "scores", "reason"),
    [
        ("abc", None, "an array of numbers, not str"),
        (None, None, "persons, frames, joints, 2 or 3"),
        ([[1, 2], [3]], None, "an array of numbers, not list"),
        (np.ones((1, 5, 17, 4)), None, r"not of shape \(1, 5, 17, 4\)"),
        (np.ones((1, 5, 17, 2)), np.ones((1, 5, 3)), r"not of shape \(1, 5, 3\)"),
    ],
)
def test_what_is_no_skeleton_is_told(keypoints, scores, reason):
    with pytest.raises(InputError, match=reason):
        vidhub.create_transform(COCO)(keypoints, scores)


def test_evaluation_draws_everyone():
    config = replace(HEATMAPS, num_persons=2)
    keypoints = walk(12)
    maps = vidhub.create_transform(config)(keypoints, None, (240, 320))
    torch.testing.assert_close(maps, vidhub.create_transform(HEATMAPS)(keypoints, None, (240, 320)))
    late = replace(vidhub.create_transform(config, training=True), late=True)
    assert late(keypoints, None, (240, 320)).shape == (2, 8, 17, 3)


@pytest.mark.parametrize(
    ("wanted", "config"),
    [
        ({"in_chans": 18}, ("openpose", "keypoint", 18)),
        ({"layout": "openpose"}, ("openpose", "keypoint", 18)),
        ({"layout": "penn_action", "kind": "limb"}, ("penn_action", "limb", 14)),
        ({"layout": [[1, 0], [2, 1]]}, (((1, 0), (2, 1)), "keypoint", 3)),
        ({"kind": "limb"}, ("coco", "limb", 17)),
    ],
)
def test_networks_on_heatmaps_of_other_joints(wanted, config, tmp_path):
    model = vidhub.create_model("posec3d_x3d", num_classes=3, depths=(1, 1), width=8, **wanted)
    vidhub.save_checkpoint(model, tmp_path)
    for found in (model, vidhub.create_model(f"local-dir:{tmp_path}")):
        assert (found.data_config.layout, found.data_config.kind, found.in_chans) == config
        assert found.data_config.view_shape[0] == found.in_chans


@pytest.mark.parametrize(
    ("name", "wanted", "reason"),
    [
        ("posec3d_c3d", {"in_chans": 40}, "no known skeleton layout has 40 joints or limbs"),
        ("posec3d_c3d", {"layout": "coco", "in_chans": 18}, "in_chans=18 is not the number of joints or limbs"),
        ("posec3d_c3d", {"kind": "limbs"}, "did you mean 'limb'"),
        ("stgcn", {"in_chans": 5}, "in_chans of skeletons is 2 or 3 for each of 1 to 4 streams, not 5"),
        ("stgcn", {"layout": 5}, "a list of edges, not 5"),
    ],
)
def test_networks_that_no_skeletons_fit(name, wanted, reason):
    with pytest.raises((InputError, UnknownNameError), match=reason):
        vidhub.create_model(name, **wanted)


def test_graph_networks_of_other_channels():
    for channels, coords, streams in ((2, 2, 1), (4, 2, 2), (6, 3, 2), (12, 3, 4)):
        model = vidhub.create_model("stgcn", in_chans=channels, num_classes=2, depths=(1,), width=8)
        config = model.data_config
        assert (config.num_coords, len(config.streams), config.view_shape[-1]) == (coords, streams, channels)
    with pytest.raises(InputError, match="no frames"):
        model(torch.zeros(1, 1, 0, 25, 12))


def test_networks_of_a_fixed_number_of_persons_get_the_recipes():
    recipe = Recipe(model="agcn", model_args={"depths": [1], "width": 8}, skeleton={"num_persons": 1})
    model = create_network(recipe, VideoDataset(poses_in(2), num_classes=2))
    assert model.num_persons == model.data_config.num_persons == 1
