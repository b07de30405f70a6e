"""``create_transform``: from a DataConfig to the frames to decode and to network input."""

import doctest
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidhub.errors import InputError
from vidhub.transforms import factory, sampling
from vidhub.transforms.factory import create_transform
from vidhub.transforms.functional import center_crop, flip, normalize, resize, ten_crop, three_crop, to_float
from vidhub.transforms.video import eval_views, train_clip
from vidhub.weights.tables import WEIGHTS
from vidhub.weights.types import DataConfig

CLIPS = DataConfig(num_frames=4, stride=2, size=24, resize=32, test_size=32, views=(5, 3))
DENSE = replace(CLIPS, num_frames=8, sampling="dense", views=(10, 1))
SEGMENTS = replace(CLIPS, num_frames=8, sampling="segments", views=(2, 10), test_size=None)
UNIFORM = replace(CLIPS, num_frames=8, sampling="uniform", views=(4, 3))
CONFIGS = [CLIPS, DENSE, SEGMENTS, UNIFORM]


class Reader:
    """A video whose frame i is filled with i, and that remembers what it was asked for."""

    def __init__(self, num_frames, height=40, width=56, channels=3):
        self.num_frames, self.fps, self.asked = num_frames, 25.0, []
        self.shape = (channels, height, width)

    def get_frames(self, indices, size=None):
        self.asked += indices
        return torch.tensor(indices, dtype=torch.uint8)[:, None, None, None].expand(-1, *self.shape).contiguous()


def noise(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_examples():
    assert doctest.testmod(factory).failed == 0


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.sampling)
@given(num_frames=st.integers(1, 200), views=st.sampled_from([None, "one", "test", 3, (2, 3), (1, 10)]))
@settings(max_examples=30)
def test_any_video_gives_clips_of_the_right_shape(config, num_frames, views):
    transform = create_transform(config, views=views)
    indices = transform.frame_indices(num_frames, fps=25.0)
    assert indices.shape == (transform.num_clips, config.num_frames)
    assert indices.min() >= 0
    assert indices.max() < num_frames
    indices = create_transform(config, training=True).frame_indices(num_frames, fps=25.0)
    assert indices.shape == (1, config.num_frames)
    assert indices.min() >= 0
    assert indices.max() < num_frames


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.sampling)
@pytest.mark.parametrize("num_frames", [1, 5, 100])
def test_load(config, num_frames):
    for views, num_views, side in [(None, 1, 24), (3, 3, 24), ((2, 3), 6, config.test_size or 24)]:
        reader = Reader(num_frames)
        transform = create_transform(config, views=views)
        out = transform.load(reader)
        assert transform.num_views == num_views
        assert out.shape == (num_views, 3, config.num_frames, side, side)
        assert out.dtype == torch.float32
        indices = transform.frame_indices(num_frames, reader.fps)
        assert reader.asked == np.unique(indices).tolist()
        assert torch.equal(
            out,
            transform(Reader(num_frames).get_frames(indices.ravel().tolist()).unflatten(0, (-1, config.num_frames))),
        )
        shown = (out[:, 0, :, 0, 0] * config.std[0] + config.mean[0]) * 255
        np.testing.assert_allclose(shown, np.repeat(indices, transform.num_crops, axis=0), atol=1e-3)
    out = create_transform(config, training=True, erasing=0.5).load(Reader(num_frames))
    assert out.shape == (3, config.num_frames, 24, 24)


def test_which_frames():
    assert create_transform(CLIPS).frame_indices(27).tolist() == [[10, 12, 14, 16]]
    assert create_transform(DENSE).frame_indices(84).tolist() == [[10, 18, 26, 34, 42, 50, 58, 66]]
    assert np.array_equal(
        create_transform(DENSE, views="test").frame_indices(300),
        sampling.dense_clips(300, 1, num_clips=8).reshape(10, 8),
    )
    published = sampling.uniform_clips(97, 1, num_clips=8, twice=True).reshape(2, 8)
    assert np.array_equal(create_transform(SEGMENTS, views="test").frame_indices(97), published)
    assert create_transform(UNIFORM).frame_indices(41).tolist() == [[2, 7, 12, 17, 22, 27, 32, 37]]
    at_rate = create_transform(replace(CLIPS, target_fps=30.0))
    assert np.ptp(at_rate.frame_indices(300, fps=60.0)) > np.ptp(at_rate.frame_indices(300, fps=30.0))


def test_views_are_the_published_steps():
    """Clip after clip, and the crops of each in their own order; resized and cropped in uint8."""
    frames = noise(2, 4, 3, 40, 56)

    def finish(view):
        return normalize(to_float(view), CLIPS.mean, CLIPS.std).transpose(-4, -3)

    for views, side, crops in [
        (2, 24, lambda clip: [center_crop(clip, 24)]),
        ((2, 3), 32, lambda clip: three_crop(clip, 32)),
        ((2, 10), 24, lambda clip: ten_crop(clip, 24)),
    ]:
        transform = create_transform(replace(CLIPS, test_size=side), views=views)
        out = transform(frames)
        resized = [resize(clip, (32, 45)) for clip in frames]
        expected = torch.stack([finish(view) for clip in resized for view in crops(clip)])
        torch.testing.assert_close(out, expected)
        torch.testing.assert_close(transform(frames[1]), expected[len(expected) // 2 :])
        assert out.is_contiguous()
    squeezed = create_transform(replace(CLIPS, resize=(30, 44)))(frames)
    torch.testing.assert_close(squeezed[1], finish(center_crop(resize(frames[1], (30, 44)), 24)))


def test_float_frames_are_taken_as_they_are():
    frames = noise(4, 3, 32, 32)
    transform = create_transform(replace(CLIPS, size=32))
    torch.testing.assert_close(transform(frames), transform(frames.float() / 255))


def test_size_changes_the_resize_in_proportion():
    transform = create_transform(DataConfig(num_frames=8, size=224, resize=256), size=112)
    assert (transform.resize, transform.size) == (128, 112)
    transform = create_transform(DataConfig(num_frames=8, size=112, resize=(128, 171)), size=224)
    assert (transform.resize, transform.size) == ((256, 342), 224)
    transform = create_transform(CLIPS, views="test", size=16)
    assert (transform.resize, transform.size) == (16, 16)
    assert create_transform(CLIPS, training=True, size=16)(noise(4, 3, 40, 56)).shape == (3, 4, 16, 16)


def test_training_draws_from_the_generator():
    config = replace(CLIPS, mean=(0.5,) * 3, std=(0.5,) * 3)
    transform = create_transform(config, training=True, color_jitter=0.4, rand_augment=(2, 9), erasing=0.5)
    transform = pickle.loads(pickle.dumps(transform))
    frames = noise(4, 3, 40, 56)
    outs = []
    for seed in (1, 1, 2):
        generator = torch.Generator().manual_seed(seed)
        indices = transform.frame_indices(100, generator=generator)
        outs.append((indices.tolist(), transform(frames, generator)))
    assert outs[0][0] == outs[1][0] != outs[2][0]
    assert torch.equal(outs[0][1], outs[1][1])
    assert not torch.equal(outs[0][1], outs[2][1])
    torch.manual_seed(3)
    first = transform.load(Reader(100))
    torch.manual_seed(3)
    assert torch.equal(first, transform.load(Reader(100)))


def test_training_without_chance_is_evaluation():
    frames = noise(4, 3, 24, 24)
    same = {"area": (1.0, 1.0), "ratio": (1.0, 1.0)}
    out = create_transform(CLIPS, training=True, hflip=0.0, **same)(frames)
    torch.testing.assert_close(out, create_transform(replace(CLIPS, resize=24))(frames)[0])
    mirrored = create_transform(CLIPS, training=True, hflip=1.0, **same)(frames)
    torch.testing.assert_close(mirrored, out.flip(-1))


def test_every_frame_of_a_training_clip_is_treated_alike():
    frames = noise(1, 3, 40, 56).expand(4, -1, -1, -1)
    transform = create_transform(CLIPS, training=True, color_jitter=(0.4, 0.4, 0.4, 0.1), rand_augment=(2, 9))
    for _ in range(5):
        out = transform(frames)
        torch.testing.assert_close(out, out[:, :1].expand_as(out))


def test_grey_and_flow():
    grey = replace(CLIPS, mean=(0.5,), std=(0.25,))
    assert create_transform(grey, views=(2, 3))(noise(2, 4, 1, 40, 56)).shape == (6, 1, 4, 32, 32)
    assert create_transform(grey, training=True, rand_augment=(2, 9))(noise(4, 1, 40, 56)).shape == (1, 4, 24, 24)
    flow = replace(CLIPS, mean=(0.5, 0.5), std=(0.25, 0.25), test_size=24)
    frames = noise(4, 2, 32, 32)
    views = create_transform(flow, views=(1, 10))(frames)
    torch.testing.assert_close(views[9, 0], -views[8, 0].flip(-1), atol=0.01, rtol=0)
    torch.testing.assert_close(views[9, 1], views[8, 1].flip(-1))
    settings = {"crop_size": 32, "area": (1.0, 1.0), "ratio": (1.0, 1.0), "mean": flow.mean, "std": flow.std}
    out = train_clip(frames, flip_prob=1.0, **settings)
    torch.testing.assert_close(out, train_clip(flip(frames, flow=True), flip_prob=0.0, **settings))


def test_published_configs():
    for weights in WEIGHTS.values():
        config = weights.data_config
        if not isinstance(config, DataConfig):
            continue
        assert create_transform(config).num_views == 1
        assert create_transform(config, views="test").num_views == config.views[0] * config.views[1]


def test_published_sizes():
    for config in (weights.data_config for weights in WEIGHTS.values()):
        if not isinstance(config, DataConfig):
            continue
        assert create_transform(config, views="test").size == (config.test_size or config.size)
        assert create_transform(config, training=True).size == config.size


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    frames = noise(2, 4, 3, 40, 56)
    for views in (2, (2, 3), (2, 10)):
        transform = create_transform(replace(CLIPS, test_size=24 if views == (2, 10) else 32), views=views)
        out = transform(frames.cuda())
        assert out.is_cuda
        assert (out.cpu() - transform(frames)).abs().max() < 1.01 / 255 / 0.2  # one grey level
    transform = create_transform(CLIPS, training=True, color_jitter=0.4, rand_augment=(2, 9), erasing=1.0)
    assert transform(frames[0].cuda(), torch.Generator().manual_seed(0)).is_cuda


@pytest.mark.parametrize("views", [0, -1, 1.5, True, "all", (1, 2), (0, 3), (1, 3, 1), ("1", 3)])
def test_wrong_views(views):
    with pytest.raises(InputError, match="views must be"):
        create_transform(CLIPS, views=views)


def test_wrong_values():
    clip = noise(4, 3, 40, 56)
    for call, message in (
        (lambda: create_transform(CLIPS, training=True, views=1), "evaluation"),
        (lambda: create_transform(CLIPS, size=0), "size"),
        (lambda: create_transform(CLIPS, size="big"), "size"),
        (lambda: create_transform(replace(CLIPS, resize=20)), "smaller than the crop of 24"),
        (lambda: create_transform(replace(CLIPS, resize=(40, 20))), "smaller than the crop of 24"),
        (lambda: create_transform(CLIPS, training=True, hflip=2), "probabilities"),
        (lambda: create_transform(CLIPS, training=True, area=(0.5, 0.1)), "area"),
        (lambda: create_transform(CLIPS, training=True, color_jitter=(0.1, 0.1)), "color_jitter"),
        (lambda: create_transform(CLIPS, training=True, rand_augment=(2, 31)), "rand_augment"),
        (lambda: create_transform(replace(CLIPS, sampling="best")).frame_indices(10), "sampling"),
        (lambda: create_transform(CLIPS).frame_indices(0), "num_frames"),
        (lambda: create_transform(CLIPS)(clip[0]), "of shape"),
        (lambda: create_transform(CLIPS, training=True)(clip[None].expand(2, -1, -1, -1, -1)), "of shape"),
        (lambda: create_transform(CLIPS)(clip[:, :2]), "need 2 values"),
        (lambda: create_transform(CLIPS)(clip.int()), "uint8"),
        (lambda: create_transform(CLIPS, training=True, rand_augment=(2, 9))(clip[:, :2]), "1 or 3 channels"),
        (lambda: eval_views(clip, resize_to=32, crop_size=33, num_crops=1, mean=(0,) * 3, std=(1,) * 3), "within"),
        (lambda: eval_views(clip, resize_to=32, crop_size=32, num_crops=2, mean=(0,) * 3, std=(1,) * 3), "crops"),
    ):
        with pytest.raises(InputError, match=message):
            call()


# ------------------------------------------------------------------------------------------------ repeated augmentation


class CountingReader:
    """Frame i is all of value i; remembers what it was asked for."""

    num_frames, fps = 60, 30.0

    def __init__(self):
        self.asked = []

    def get_frames(self, indices):
        self.asked.append(list(indices))
        return torch.tensor(indices, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 20, 20).contiguous()


def repeated(**options):
    config = DataConfig(num_frames=4, stride=2, size=16, mean=(0, 0, 0), std=(1 / 255,) * 3)
    transform = create_transform(config, training=True, hflip=0.0, **options)
    reader = CountingReader()
    clips = transform.load(reader, torch.Generator().manual_seed(0))
    return clips, reader.asked


def test_several_clips_of_a_video_are_decoded_at_once():
    clips, asked = repeated(repeats=3)
    assert clips.shape == (3, 3, 4, 16, 16)
    assert len(asked) == 1
    shown = clips[:, 0, :, 0, 0].round().int()
    assert sorted(set(shown.flatten().tolist())) == asked[0]
    assert len({tuple(row) for row in shown.tolist()}) == 3
    assert (shown.diff(dim=1) == 2).all()


def test_clips_of_the_same_frames_differ_in_their_crops_alone():
    clips, asked = repeated(repeats=3, same_frames=True)
    assert len(asked[0]) == 4
    assert (clips[:, 0, :, 0, 0].round() == torch.tensor(asked[0])).all()


def test_a_single_clip_has_no_extra_dimension():
    assert repeated()[0].shape == (3, 4, 16, 16)
    with pytest.raises(InputError, match="repeats"):
        create_transform(DataConfig(num_frames=4), repeats=2)
