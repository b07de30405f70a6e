"""Stored features of videos: files of them, and parts of them with what is true there."""

import numpy as np
import pytest
import torch

import vidhub
from vidhub.datasets import features
from vidhub.datasets.features import FeatureDataset, is_feature_file, num_channels, read_features, stored_duration
from vidhub.datasets.records import SegmentsRecord
from vidhub.errors import InputError
from vidhub.weights.types import SegmentConfig

FREE = SegmentConfig(feature_dim=2, num_steps=None)


def one_video(folder, segments, *, steps=40, duration=40.0, fps=None):
    """A video of a step a second whose features are its step's number."""
    np.save(folder / "a.npy", np.repeat(np.arange(steps, dtype=np.float32)[:, None], 2, 1))
    segments = np.array(segments, np.float64).reshape(-1, 2)
    return [SegmentsRecord("a", str(folder / "a.npy"), duration, segments, ("wave",) * len(segments), fps=fps)]


def test_long_videos_are_cut_around_half_a_segment(tmp_path):
    data = FeatureDataset(one_video(tmp_path, [(5, 15), (30, 34)]), FREE, max_steps=12)
    for seed in range(30):
        torch.manual_seed(seed)
        sample = data[0]
        first = int(sample.features[0, 0])
        assert sample.features[0].tolist() == list(range(first, first + 12))
        assert len(sample.segments) == len(sample.labels) >= 1
        # the true ones in seconds, as far as they are in the part
        seconds = (sample.segments.numpy() + 0.5 + first).round(3)
        for start, end in seconds:
            true = (5, 15) if start < 20 else (30, 34)
            assert (start, end) == (max(true[0], first), min(true[1], first + 12))
            assert end - start >= (true[1] - true[0]) / 2


def test_fractions_are_of_the_part_that_is_left(tmp_path):
    data = FeatureDataset(one_video(tmp_path, [(5, 15)]), FREE, max_steps=20)
    torch.manual_seed(0)
    sample = data[0]
    np.testing.assert_allclose(sample.fractions, (sample.segments.numpy() + 0.5) / 20, atol=1e-6)


def test_shorter_videos_lose_a_random_share(tmp_path):
    data = FeatureDataset(one_video(tmp_path, [(5, 15)]), FREE, crop=(0.5, 0.75))
    torch.manual_seed(0)
    lengths = [data[0].features.shape[1] for _ in range(200)]
    assert (min(lengths), max(lengths)) == (20, 30)
    with pytest.raises(InputError, match=r"two shares of a video such as \(0.9, 1.0\), not \(0.9, 1.1\)"):
        FeatureDataset([], FREE, crop=(0.9, 1.1))
    with pytest.raises(InputError, match="takes whole videos in 100 steps"):
        FeatureDataset([], SegmentConfig(), crop=(0.9, 1.0))


def test_a_video_without_segments_is_cut_too(tmp_path):
    data = FeatureDataset(one_video(tmp_path, []), FREE, max_steps=12)
    assert data[0].features.shape == (2, 12)
    assert data[0].segments.shape == (0, 2)


@pytest.mark.parametrize("most", [1 << 20, 100])
def test_features_are_kept_as_far_as_there_is_room(tmp_path, monkeypatch, most):
    monkeypatch.setattr(features, "_MOST_KEPT", most)
    records = one_video(tmp_path, [(5, 15)])
    data = FeatureDataset(records, FREE)
    before = data.features(0).clone()
    np.save(records[0].path, np.load(records[0].path) + 1)
    assert torch.equal(data.features(0), before) == (most > 100)


def test_windows_of_frames_say_where_steps_lie(tmp_path):
    """16 frames every 4 frames, 25 a second: step i is around frame 4 i + 8."""
    config = SegmentConfig(feature_dim=2, num_steps=None, feature_stride=4, feature_window=16)
    data = FeatureDataset(one_video(tmp_path, [(0.32, 0.64)], duration=7.0, fps=25.0), config)
    torch.testing.assert_close(data[0].segments, torch.tensor([[0.0, 2.0]]))
    assert data[0].fractions.tolist() == [[0.32 / 7, 0.64 / 7]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((3, 2), np.nan, np.float32), "a.npy' hold NaN or infinity, first at step 0"),
        (np.array([["a", "b"]]), "must be numbers of shape .*a.npy' are <U1"),
        (np.zeros((3, 2, 1), np.float32), r"must be numbers of shape .*\(3, 2, 1\)"),
        (np.zeros((0, 2), np.float32), r"must be numbers of shape .*\(0, 2\)"),
    ],
)
def test_what_is_no_feature_is_told_with_its_file(tmp_path, values, message):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(InputError, match=message):
        read_features(tmp_path / "a.npy")


def test_channels_are_counted_in_every_format(tmp_path):
    h5py = pytest.importorskip("h5py")
    np.save(tmp_path / "a.npy", np.zeros((4, 3), np.float32))
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v1"] = np.zeros((4, 5), np.float32)
    assert [num_channels(tmp_path / name) for name in ("a.npy", "a.csv", "a.h5::v1")] == [3, 2, 5]
    assert read_features(tmp_path / "a.h5::v1").shape == (4, 5)
    with pytest.raises(InputError, match="object 'v2' doesn't exist"):
        read_features(tmp_path / "a.h5::v2")
    (tmp_path / "b.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-10])
    with pytest.raises(InputError, match=r"cannot read the features .*b\.npy"):
        num_channels(tmp_path / "b.npy")


def test_files_of_features_are_known_by_their_names():
    names = ("a.npy", "a.csv", "all.h5::v1", "a.hdf5", "a.mp4", "npy")
    assert [is_feature_file(name) for name in names] == [True] * 4 + [False] * 2


def test_a_stored_duration_stands_in_for_one_that_is_not_annotated(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"] = np.zeros((4, 2), np.float32)
        file.attrs["duration"] = 8.0
    assert stored_duration(tmp_path / "a.h5") == 8.0
    record = SegmentsRecord("a", str(tmp_path / "a.h5"), float("nan"), np.array([[2.0, 6]]), ("wave",))
    assert FeatureDataset([record], FREE)[0].segments.tolist() == [[0.5, 2.5]]
    model = vidhub.create_model("actionformer", dim=8, feature_dim=2, num_classes=1)
    assert vidhub.predict(model, str(tmp_path / "a.h5")).duration == 8.0
