"""Records as a data set: clips, targets, parts of videos, caching, joining, and the catalogue."""

import multiprocessing.reduction
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from clips import fill
from media import read_number, render

import vidhub
from vidhub.datasets.catalog import create_dataset, dataset_info, list_datasets, survey
from vidhub.datasets.dataset import (
    RecordDataset,
    VideoDataset,
    _FrameStore,
    class_balanced_weights,
    join_datasets,
    open_video,
)
from vidhub.datasets.records import PoseRecord, VideoRecord
from vidhub.datasets.video_io import VideoReader
from vidhub.errors import InputError, UnknownNameError, VideoError
from vidhub.transforms.functional import resize


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return str(render(tmp_path_factory.mktemp("video") / "numbers.mp4", frames=50, fps=25))


def numbers(frames):
    return [read_number(frame) for frame in frames]


def test_clip_and_label(video):
    config = vidhub.DataConfig(num_frames=4, stride=2, size=32, resize=36)
    clip, label = VideoDataset([VideoRecord(video, 1)], vidhub.create_transform(config), classes=("a", "b"))[0]
    assert clip.shape == (1, 3, 4, 32, 32)
    assert label == 1


def test_without_a_transform_all_frames_come_out(video):
    frames, label = VideoDataset([VideoRecord(video)])[0]
    assert numbers(frames) == list(range(50))
    assert label == -1


def test_any_callable_is_a_transform(video):
    assert VideoDataset([VideoRecord(video, 0)], transform=len)[0] == (50, 0)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, 0.4, range(10)),
        (1.0, None, range(25, 50)),
        (0.2, 0.4, range(5, 10)),
        (1.0, 1.001, [25]),
        (1.9, 9, [47, 48, 49]),
    ],
)
def test_parts_of_a_video(video, start, end, expected):
    with open_video(VideoRecord(video, start=start, end=end)) as reader:
        assert reader.num_frames == len(expected)
        assert numbers(reader.get_frames(range(reader.num_frames))) == list(expected)


@pytest.mark.parametrize(("start", "end"), [(2.5, 3.0), (1.0, 0.5)])
def test_empty_parts_are_errors(video, start, end):
    with pytest.raises(VideoError, match="is empty: the video lasts 2"):
        open_video(VideoRecord(video, start=start, end=end))


def test_frame_folders_with_names_as_the_list_says(tmp_path):
    from media import draw
    from PIL import Image

    for number in range(8):
        Image.fromarray(draw(number)).save(tmp_path / f"img_{number:05}.png")
    record = VideoRecord(str(tmp_path), 0, num_frames=3, first_frame=4, template="img_{:05}.png")
    with open_video(record) as reader:
        assert numbers(reader.get_frames([0, 1, 2])) == [4, 5, 6]
    with open_video(VideoRecord(str(tmp_path))) as reader:
        assert reader.num_frames == 8


def test_several_labels_become_zeros_and_ones(video):
    data = VideoDataset([VideoRecord(video, (0, 3)), VideoRecord(video, ())], num_classes=4)
    assert data.target(0).tolist() == [1, 0, 0, 1]
    assert data.target(1).tolist() == [0, 0, 0, 0]


def test_several_labels_are_mirrored_with_the_clip(video):
    config = vidhub.DataConfig(num_frames=1, size=8, resize=8, flip_labels=((0, 2),))
    transform = vidhub.create_transform(config, training=True, hflip=1.0)
    data = VideoDataset([VideoRecord(video, (0, 1))], transform, num_classes=3)
    assert data[0][1].tolist() == [0.0, 1.0, 1.0]


def test_labels_by_category_leave_out_what_is_not_annotated(video):
    data = VideoDataset(
        [VideoRecord(video, {"action": (1,), "event": ()})], categories={"action": 2, "scene": 1, "event": 1}
    )
    target = data.target(0)
    assert target[[0, 1, 3]].tolist() == [0, 1, 0]
    assert torch.isnan(target[2])
    assert data.num_classes == 4


@pytest.mark.parametrize(
    ("label", "options"),
    [
        (2, {"num_classes": 2}),
        (-1, {"num_classes": 2}),
        (-1, {}),
        (np.int64(3), {"num_classes": 2}),
        ((0, 5), {"num_classes": 5}),
        ({"a": (1,)}, {"categories": {"a": 1}}),
    ],
)
def test_labels_out_of_range_are_told(label, options):
    with pytest.raises(InputError, match=r"'v\.mp4'"):
        VideoDataset([VideoRecord("v.mp4", label)], **options)


def test_labels_of_numpy_are_numbers():
    assert class_balanced_weights(VideoDataset([VideoRecord("a", np.int64(1)), VideoRecord("b", 1)])) == [0.5, 0.5]


def test_several_labels_need_the_number_of_classes(tmp_path):
    (tmp_path / "train.txt").write_text("a.mp4 0 2\n")
    with pytest.raises(InputError, match=r"a\.mp4' has several labels, and how many classes there are is not known"):
        create_dataset("video_list", tmp_path, "train", multi_label=True)
    data = create_dataset("video_list", tmp_path, "train", multi_label=True, num_classes=3)
    assert data.target(0).tolist() == [1, 0, 1]


def test_skeletons_may_have_no_label():
    record = PoseRecord("x", -1, 3, np.ones((1, 3, 17, 2)))
    assert VideoDataset([record], classes=("a",)).target(0) == -1
    with pytest.raises(InputError, match="'x' is of class -2"):
        VideoDataset([replace(record, label=-2)])


def test_errors_name_the_video(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        VideoDataset([VideoRecord(str(tmp_path / "broken.mp4"), 0)])[0]


def test_cached_videos_are_decoded_once_and_unreadable_ones_left_out(video, tmp_path, monkeypatch):
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    data = VideoDataset([VideoRecord(str(tmp_path / "broken.mp4"), 0), VideoRecord(video, 1)], num_classes=2)
    data.cache(24)
    assert [record.path for record in data.records] == [video]
    monkeypatch.setattr("vidhub.datasets.dataset.open_video", None)
    frames, label = data[0]
    assert frames.shape == (50, 3, 24, 32)
    assert torch.equal(frames, resize(VideoReader(video).get_frames(range(50)), (24, 32)))
    assert label == 1
    with data.open(0) as reader:
        assert reader.fps == 25


def test_cached_videos_reach_loader_workers_in_few_tensors(video, monkeypatch):
    data = VideoDataset([VideoRecord(video, start=i / 25, end=(i + 5) / 25) for i in range(20)])
    monkeypatch.setattr(_FrameStore, "BLOCK", 8 * 5 * 3 * 24 * 32)
    data.cache(24)
    assert [numbers(frames) for frames, _ in data] == [list(range(i, i + 5)) for i in range(20)]
    handed_over = []
    monkeypatch.setattr(multiprocessing.reduction, "DupFd", handed_over.append)
    ForkingPickler.dumps(data)
    assert len(handed_over) == 3


@pytest.mark.parametrize(
    "record", [PoseRecord("x", 0, 3, np.ones((1, 3, 17, 2))), VideoRecord("x", template="{}_{:05}.jpg")]
)
def test_only_videos_are_cached(record):
    with pytest.raises(InputError, match="not skeletons or stored optical flow"):
        VideoDataset([record]).cache(64)


def test_joined_data_sets_share_classes_of_the_same_name(video):
    first = VideoDataset([VideoRecord(video, 0), VideoRecord(video, 1)], classes=("run", "jump"))
    second = VideoDataset([VideoRecord(video, 0), VideoRecord(video, (1, 0))], classes=("swim", "run"))
    both = join_datasets([first, second])
    assert both.classes == ("run", "jump", "swim")
    assert both.labels == [0, 1, 2, (0, 2)]
    with pytest.raises(InputError, match="class names"):
        join_datasets([first, VideoDataset([VideoRecord(video, 0)])])


def test_balanced_weights_make_classes_equally_likely():
    data = VideoDataset([VideoRecord("v", label) for label in (0, 0, 0, 1)], num_classes=2)
    weights = np.array(class_balanced_weights(data))
    assert weights[:3].sum() == pytest.approx(weights[3])
    with pytest.raises(InputError, match="one label"):
        class_balanced_weights(VideoDataset([VideoRecord("v", (0, 1))], num_classes=2))


# --------------------------------------------------------------------------------------------------------- catalogue


@pytest.mark.parametrize("info", list_datasets(), ids=lambda info: info.name)
def test_what_is_known_of_a_data_set(info):
    assert info.task in ("recognition", "localization", "detection", "skeleton", "audio")
    assert info.layout
    assert set(info.counts) <= set(info.splits)
    if info.homepage:
        assert info.homepage.startswith("http")
        assert info.license


def test_names_are_unique():
    names = [info.name for info in list_datasets()]
    assert len(names) == len(set(names))


def test_unknown_names_get_suggestions(tmp_path):
    with pytest.raises(UnknownNameError, match="kinetics400"):
        dataset_info("kinetic400")
    with pytest.raises(UnknownNameError, match="did you mean"):
        create_dataset("kinetics400", tmp_path, "vall")
    with pytest.raises(InputError, match="no folder"):
        create_dataset("folder", tmp_path / "nothing", "train")
    with pytest.raises(InputError, match="does not take this option"):
        create_dataset("folder", tmp_path, "train", color=True)


def test_bad_files_are_left_out(tmp_path):
    fill(tmp_path / "val", 2)
    bad = tmp_path / "val" / "still" / "1.mp4"
    assert len(create_dataset("folder", tmp_path, "val")) == 4
    (tmp_path / "bad_files.txt").write_text(f"{bad}\tit is broken\n")
    kept = create_dataset("folder", tmp_path, "val").records
    assert len(kept) == 3
    assert str(bad) not in [record.path for record in kept]
    assert len(create_dataset("folder", tmp_path, "val", bad_files=False)) == 4


def test_survey_counts_and_finds_what_is_missing(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "train.txt").write_text("a.mp4 0\nb.mp4 1\n")
    render(tmp_path / "a.mp4", frames=2)
    (found,) = [part for part in survey("video_list", tmp_path) if part.records]
    assert (found.records, found.missing, found.complete) == (2, 1, False)


def test_records_of_other_tasks_come_as_they_are():
    data = RecordDataset([1, 2], classes=("a",))
    assert (data[0], len(data), data.num_classes) == (1, 2, 1)
    assert RecordDataset([1, 2], transform=lambda record: record * 10)[1] == 20


def test_a_transform_can_be_changed_without_copying(video):
    data = VideoDataset([VideoRecord(video, 0)])
    other = data.with_transform(len)
    assert other[0] == (50, 0)
    assert other.records is data.records
    assert data.transform is None
    assert replace(data.records[0], label=1).label == 1
