"""Readers of the localization, detection, skeleton and audio data sets, and of the files they come in."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from media import render

from vidhub.datasets import audio, detection, localization, skeleton
from vidhub.datasets.annotation_files import read_json, read_lines, read_pickle
from vidhub.datasets.audio import read_audio_list
from vidhub.datasets.box_files import box_problems, read_boxes
from vidhub.datasets.catalog import create_dataset
from vidhub.datasets.detection import (
    ava_kinetics_records,
    ava_records,
    last_video,
    read_ava_rows,
    read_excluded,
    read_label_map,
    read_proposals,
    read_tubes,
)
from vidhub.datasets.localization import read_class_list, read_class_segments, read_segments
from vidhub.datasets.records import BoxesRecord
from vidhub.datasets.skeleton import load_keypoints, ntu_missing, ntu_parts, ntu_split, read_ntu_skeleton, read_poses
from vidhub.errors import InputError, UnknownNameError

SHOWN = json.loads((Path(__file__).parent / "data" / "pipeline_annotations2.json").read_text())
OPS = ("audio", "activitynet", "pose", "ava", "ava_kinetics")
ALL = {info.name: info for module in (audio, detection, localization, skeleton) for info in module.DATASETS}


# -------------------------------------------------------------------------------------------- published figures


def unpack(value):
    """Values of the JSON file as a pickle had them."""
    if isinstance(value, list):
        return [unpack(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "dtype" in value:
        return np.array(value["values"], value["dtype"]).reshape(value["shape"])
    if "pairs" in value:
        return {k: unpack(v) for k, v in value["pairs"]}
    return {k: unpack(v) for k, v in value.items()}


@pytest.fixture(scope="module")
def shown_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown")
    for name, content in SHOWN["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".pkl":
            path.write_bytes(pickle.dumps(unpack(content)))
        else:
            path.write_text(content)
    return folder


def cases():
    """(folder of the files or None for the shown ones, case)."""
    found = [(None, case) for case in SHOWN["cases"]]
    if folder := os.environ.get("VIDHUB_REFERENCE"):
        path = Path(folder) / "pipeline" / "annotations.json"
        found += [(path.parent, case) for case in json.loads(path.read_text())["cases"] if case["op"] in OPS]
    return [pytest.param(*c, id=("all-" if c[0] else "") + c[1]["id"]) for c in found]


def read_items(op, params, folder, file):
    """The records as the reference's dictionaries."""
    path, prefix = folder / file, params.get("data_prefix", {})
    if op == "audio":
        multi_label, num_classes = params.get("multi_class", False), params.get("num_classes")
        records = read_audio_list(
            path, folder=prefix.get("audio", ""), multi_label=multi_label, num_classes=num_classes
        )
        labels = [[float(c in r.label) for c in range(num_classes)] if multi_label else r.label for r in records]
        rows = zip(records, labels, strict=True)
        return [{"audio_path": r.path, "total_frames": r.num_frames, "label": label} for r, label in rows]
    if op == "activitynet":
        return [segments_item(r) for r in read_segments(path, folder="/")]
    if op == "pose":
        options = {"valid_ratio": "valid_ratio", "box_thr": "min_box_score", "split": "split"}
        given_options = {ours: params[theirs] for theirs, ours in options.items() if theirs in params}
        return [pose_item(r) for r in read_poses(path, folder=prefix.get("video", ""), **given_options)]
    return ava_items(op, params, folder, path, prefix.get("img", ""))


def segments_item(r):
    return {
        "video_name": r.video_id,
        "feature_path": r.path,
        "duration_second": r.duration,
        "duration_frame": r.num_frames,
        "feature_frame": r.feature_frames,
        "fps": r.fps,
        "annotations": [{"segment": s, "label": n} for s, n in zip(r.segments.tolist(), r.labels, strict=True)],
    }


def pose_item(r):
    name_key = "frame_dir" if "original_shape" in r.extra else "filename"
    item = {name_key: r.name, "label": r.label, "total_frames": r.num_frames, "keypoint": r.keypoints.tolist()}
    item |= {} if r.scores is None else {"keypoint_score": r.scores.tolist()}
    item |= {} if r.image_size is None else {"img_shape": list(r.image_size)}
    extra = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in r.extra.items()}
    if "valid" in extra:
        extra["valid"] = {str(k): v for k, v in extra["valid"].items()}
    return item | {k: list(v) if isinstance(v, tuple) else v for k, v in extra.items()}


def ava_items(op, params, folder, path, prefix):
    names = {key: folder / params[key] for key in ("exclude_file", "label_file", "proposal_file") if params.get(key)}
    custom = params.get("custom_classes")
    frames = read_ava_rows(
        path,
        excluded=read_excluded(names["exclude_file"]) if "exclude_file" in names else (),
        num_classes=params.get("num_classes"),
        custom_classes=custom,
        label_map=read_label_map(names["label_file"]),
    )
    proposals = None
    if "proposal_file" in names:
        proposals = read_proposals(
            names["proposal_file"],
            min_score=params.get("person_det_score_thr", 0.9),
            max_boxes=params.get("num_max_proposals", 1000),
        )
    options = {"folder": prefix, "proposals": proposals}
    if op == "ava":
        start, end = params.get("timestamp_start", 900), params.get("timestamp_end", 1800)
        fps = params.get("fps", 30) if params.get("use_frames", True) else None
        records = ava_records(frames, seconds=(start, end), fps=fps, **options)
    else:
        records = ava_kinetics_records(frames, shot_of=last_video(path, custom), **options)
    return [ava_item(r, params.get("num_classes")) for r in records]


def ava_item(r, num_classes):
    item = {
        "frame_dir" if r.shot else "filename": r.path,
        "video_id": r.video_id,
        "timestamp": r.timestamp,
        "timestamp_start": r.first_second,
        "timestamp_end": r.last_second,
        "img_key": f"{r.video_id},{int(r.timestamp):04d}",
        "shot_info": r.shot and list(r.shot),
        "gt_bboxes": r.boxes.tolist(),
        "gt_labels": [sorted(labels) for labels in r.labels],
        "entity_ids": list(r.entity_ids),
    }
    if num_classes:
        item["gt_labels"] = [[float(c in labels) for c in range(num_classes)] for labels in r.labels]
    item |= {} if r.proposals is None else {"proposals": r.proposals.tolist()}
    return item | ({} if r.scores is None else {"scores": r.scores.tolist()})


# the same for every record, or (rfps) used nowhere
CONSTANT = {"modality", "start_index", "filename_tmpl", "rfps"}


@pytest.mark.parametrize(("folder", "case"), cases())
def test_published_figures(folder, case, shown_files):
    folder, params, expected = folder or shown_files, case["params"], case["expected"]
    if "error" in expected:
        with pytest.raises((InputError, UnknownNameError)):
            read_items(case["op"], params, folder, case["input"]["file"])
        return
    items = read_items(case["op"], params, folder, case["input"]["file"])
    assert len(items) == expected["length"]
    for item, wanted in zip(items, expected["items"], strict=True):
        wanted = {k: v for k, v in wanted.items() if k not in CONSTANT | ({"fps"} if "ava" in case["op"] else set())}
        assert set(item) == set(wanted)
        same(item, wanted)


def same(value, wanted):
    """Nested values are equal, floats to 1e-6 of themselves."""
    if isinstance(wanted, dict):
        assert set(value) == set(wanted)
        for key in wanted:
            same(value[key], wanted[key])
    elif isinstance(wanted, list):
        assert len(value) == len(wanted)
        for v, w in zip(value, wanted, strict=True):
            same(v, w)
    else:
        assert value == pytest.approx(wanted, rel=1e-6) if isinstance(wanted, float) else value == wanted


# ------------------------------------------------------------------------------------------------ annotation files


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(content))
    else:
        path.write_text(json.dumps(content))
    return path


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner) | st.sets(st.integers()),
    max_leaves=8,
)
arrays = hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(max_dims=3, min_side=0, max_side=3))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=plain, array=arrays, protocol=st.integers(0, 5))
def test_pickles_of_plain_values_and_arrays_are_read(tmp_path, value, array, protocol):
    content = pickle.dumps([value, array, np.float32(0.5)], protocol)
    (tmp_path / "a.pkl").write_bytes(content)
    plain_value, array_value, scalar = read_pickle(tmp_path / "a.pkl")
    expected = pickle.loads(content)[1]  # NumPy may change the byte order
    assert (plain_value, scalar) == (value, 0.5)
    assert (array_value.dtype, array_value.shape) == (expected.dtype, array.shape)
    assert array_value.tobytes() == expected.tobytes()


def test_pickles_of_both_numpy_generations_are_read(tmp_path):
    content = pickle.dumps(np.arange(3.0), 2)
    old, new = b"numpy.core.multiarray", b"numpy._core.multiarray"
    for module in (old, new):
        (tmp_path / "a.pkl").write_bytes(content.replace(new, old).replace(old, module))
        assert read_pickle(tmp_path / "a.pkl").tolist() == [0, 1, 2]


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_is_never_run(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": Harmful()}, protocol))
    with pytest.raises(InputError, match=r"asks for \w+\.mkdir"):
        read_pickle("a.pkl")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps([1, 2, 3])[:-4], b"\x80\x04]q\x00("])
def test_damaged_pickles_are_named(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.pkl is not a readable pickle"):
        read_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize("read", [read_pickle, read_json, lambda path: list(read_lines(path))])
def test_missing_files_are_named(tmp_path, read):
    with pytest.raises(InputError, match=r"there is no file .*nothing"):
        read(tmp_path / "nothing")


def test_json_errors_have_the_line(tmp_path):
    with pytest.raises(InputError, match=r"a\.json, line 2: not valid JSON"):
        read_json(write(tmp_path / "a.json", '{"a": 1,\n b}'))


def test_bytes_that_are_no_text_are_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"fine\n\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        list(read_lines(tmp_path / "a.txt"))


# ----------------------------------------------------------------------------------------------------------- audio


def test_audio_lists_take_several_labels_and_names_with_blanks(tmp_path):
    path = write(tmp_path / "a.txt", "x.npy 250 3 1\n\ny.npy 10 0\n")
    assert [r.label for r in read_audio_list(path, multi_label=True)] == [(3, 1), (0,)]
    path = write(tmp_path / "b.txt", "a b.wav, 5, 2\n")
    (record,) = read_audio_list(path, delimiter=",", folder="sound")
    assert (record.path, record.num_frames, record.label) == (str(Path("sound", "a b.wav")), 5, 2)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x.npy 250", "expected file, frames and one label"),
        ("x.npy 250 1 2", "expected file, frames and one label"),
        ("x.npy many 1", "must be whole numbers"),
        ("x.npy 0 1", "at least one frame"),
        ("x.npy 5 -1", "labels from 0"),
        ("x.npy 5 9", "label 9 is beyond the 9 classes"),
    ],
)
def test_bad_audio_lines_have_their_number(tmp_path, line, reason):
    path = write(tmp_path / "a.txt", f"fine.npy 1 0\n{line}\n")
    with pytest.raises(InputError, match=f"a.txt, line 2: .*{reason}"):
        read_audio_list(path, num_classes=9)


def test_records_with_arrays_can_be_compared():
    one, other = (BoxesRecord("v", "p", 0.1, np.zeros((2, 4)), ((0,), (1,))) for _ in range(2))
    assert one in [other, one]
    assert one != other


def test_kinetics_sound(tmp_path):
    write(tmp_path / "kinetics400_val_list_audio_features.txt", "x.npy 250 399\n")
    records, classes = ALL["kinetics400_audio"].read(tmp_path, "val")[:2]
    assert records[0].path == str(tmp_path / "audio_features_val" / "x.npy")
    assert classes[records[0].label] == "zumba"


# ---------------------------------------------------------------------------------------------------- localization


def official(**videos):
    return {"version": "1.3", "taxonomy": [], "database": videos}


def test_activitynet_by_subset(tmp_path):
    segment = {"segment": [1, 2.5], "label": "Zumba"}
    write(
        tmp_path / "activity_net.v1-3.json",
        official(
            a={"duration": 10, "subset": "training", "annotations": [segment]},
            b={"duration": 5.5, "subset": "testing", "annotations": []},
        ),
    )
    (record,), classes = ALL["activitynet"].read(tmp_path, "train")[:2]
    assert (record.video_id, record.duration, record.labels) == ("a", 10, ("Zumba",))
    assert record.path == str(tmp_path / "videos" / "v_a.mp4")
    assert record.segments.tolist() == [[1, 2.5]]
    assert len(classes) == 200
    (record,) = ALL["activitynet"].read(tmp_path, "test").records
    assert record.segments.shape == (0, 2)
    with pytest.raises(InputError, match="no video of subset 'validation'"):
        ALL["activitynet"].read(tmp_path, "val")
    with pytest.raises(UnknownNameError, match="unknown split 'trian'; did you mean 'train'"):
        ALL["activitynet"].read(tmp_path, "trian")


def test_activitynet_is_read_from_its_shorter_file_too(tmp_path):
    write(tmp_path / "activity_net.v1-3.min.json", official(a={"duration": 1, "subset": "training", "annotations": []}))
    assert [r.video_id for r in ALL["activitynet"].read(tmp_path, "train").records] == ["a"]


def test_videos_of_no_subset_belong_to_all(tmp_path):
    video = {"duration": 1, "annotations": []}
    subsets = {"a": {"subset": "train"}, "b": {}, "c": {"subset": "VAL"}, "d": {"subset": None}}
    write(tmp_path / "annotations.json", {name: video | subset for name, subset in subsets.items()})
    for split, names in (("train", "abd"), ("val", "bcd"), ("test", "bd")):
        assert [r.video_id for r in ALL["segments"].read(tmp_path, split).records] == list(names)


def test_bmn_features_have_a_file_for_each_split(tmp_path):
    video = {"duration_second": 4.0, "duration_frame": 100, "feature_frame": 96, "annotations": []}
    write(tmp_path / "anet_anno_val.json", {"v_a": video})
    (record,) = ALL["activitynet_features"].read(tmp_path, "val").records
    assert record.path.endswith(str(Path("csv_mean_100", "v_a.csv")))
    assert (record.duration, record.num_frames, record.feature_frames) == (4, 100, 96)


def test_a_class_that_is_not_in_the_list_is_named(tmp_path):
    video = {"duration": 3, "subset": "training", "annotations": [{"segment": [0, 1], "label": "Zumbo"}]}
    write(tmp_path / "HACS_segments_v1.1.1.json", official(a=video))
    with pytest.raises(InputError, match="video 'a' has the unknown class 'Zumbo'"):
        ALL["hacs_segments"].read(tmp_path, "train")


@pytest.mark.parametrize(
    ("video", "reason"),
    [
        ({"duration": 3, "annotations": [{"segment": [2, 1], "label": "a"}]}, "2.0 to 1.0"),
        ({"duration": 3, "annotations": [{"segment": [0, "x"], "label": "a"}]}, 'expected {"segment"'),
        ({"duration": 3, "annotations": [{"segment": [0, 1]}]}, 'expected {"segment"'),
        ({"duration": 3, "annotations": [{"segment": [0, float("nan")], "label": "a"}]}, "nan"),
        ({"duration": 3, "annotations": [{"segment": [0, 1], "label": None}]}, 'expected {"segment".*null'),
        ({"duration": 3, "annotations": None}, "annotations must be a list of segments, not null"),
        ({"duration": 3, "annotations": {"x": 1}}, "annotations must be a list of segments"),
        ({"duration": "long", "annotations": []}, "duration must be a number from 0, not 'long'"),
        ({"duration": -1, "annotations": []}, "duration must be a number from 0, not -1"),
        (7, "must be an object, not 7"),
    ],
)
def test_bad_segments_name_the_video(tmp_path, video, reason):
    path = write(tmp_path / "a.json", {"fine": {"duration": 1, "annotations": []}, "bad": video})
    with pytest.raises(InputError, match=f"a.json: video 'bad'.*{reason}"):
        read_segments(path)


def test_json_of_another_layout(tmp_path):
    with pytest.raises(InputError, match="an object with one entry a video, not list"):
        read_segments(write(tmp_path / "a.json", [1]))


times = st.lists(st.tuples(*[st.floats(0, 1e4, allow_nan=False)] * 2).map(sorted), max_size=5)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(videos=st.dictionaries(st.text("abc_-", min_size=1), times, max_size=4))
def test_both_layouts_of_segments_say_the_same(tmp_path, videos):
    content = {
        name: {"duration": 1e4, "annotations": [{"segment": list(s), "label": "x"} for s in segments]}
        for name, segments in videos.items()
    }
    flat = read_segments(write(tmp_path / "a.json", content))
    nested = read_segments(write(tmp_path / "b.json", {"database": content}))
    for r, n, (name, segments) in zip(flat, nested, videos.items(), strict=True):
        assert r.video_id == n.video_id == name
        assert r.segments.tolist() == n.segments.tolist() == [list(s) for s in segments]


def thumos_folder(root):
    write(root / "TH14" / "annotation" / "Diving_val.txt", "video_validation_1  5.0 6.5\nvideo_validation_1 1 2\n")
    write(root / "TH14" / "annotation" / "CliffDiving_val.txt", "video_validation_1 5.0 6.5\n")
    write(root / "TH14" / "annotation" / "Ambiguous_val.txt", "video_validation_2 0.0 1.0\n")
    write(root / "TH14" / "annotation" / "Diving_test.txt", "video_test_1 0 1\n")
    return root


def test_thumos_text_files(tmp_path):
    records, classes = ALL["thumos14"].read(thumos_folder(tmp_path), "val")[:2]
    first, second = records
    assert first.segments.tolist() == [[1, 2], [5, 6.5], [5, 6.5]]
    assert first.labels == ("Diving", "CliffDiving", "Diving")
    assert np.isnan(first.duration)
    assert (second.video_id, second.labels) == ("video_validation_2", ())
    assert len(classes) == 20
    records, classes = ALL["thumos14"].read(tmp_path, "val", leave_ambiguous=False)[:2]
    assert records[1].labels == ("Ambiguous",)
    assert classes[-1] == "Ambiguous"
    assert len(ALL["thumos14"].read(tmp_path, "test").records) == 1


def test_lists_that_are_no_classes_lie_beside_thumos(tmp_path):
    write(thumos_folder(tmp_path) / "proposals_val.txt", "# 0\nvideo_validation_1\n")
    assert len(ALL["thumos14"].read(tmp_path, "val").records) == 2


def test_thumos_class_list_gives_the_order(tmp_path):
    write(thumos_folder(tmp_path) / "detclasslist.txt", "26 Diving\n22 CliffDiving\n102 Ambiguous\n")
    assert ALL["thumos14"].read(tmp_path, "val").classes == ("Diving", "CliffDiving")
    assert read_class_list(tmp_path / "detclasslist.txt")[102] == "Ambiguous"
    with pytest.raises(InputError, match="line 1: expected 'number name'"):
        read_class_list(write(tmp_path / "b.txt", "Diving 26\n"))


def test_thumos_json_of_actionformer(tmp_path):
    note = [{"label": "Diving", "segment": ["1.5", "2.0"], "label_id": 7}, {"label": "Ambiguous", "segment": [3, 4]}]
    video = {"duration": 9.5, "fps": 30.0, "annotations": note}
    write(
        tmp_path / "thumos14.json",
        official(video_validation_1={"subset": "Validation"} | video, video_test_1={"subset": "Test"} | video),
    )
    (record,) = ALL["thumos14"].read(tmp_path, "val").records
    assert (record.video_id, record.labels, record.duration, record.fps) == ("video_validation_1", ("Diving",), 9.5, 30)


@pytest.mark.parametrize(("line", "reason"), [("video 1", "expected 'video start end'"), ("video 2 1", "2.0 to 1.0")])
def test_bad_thumos_lines_have_their_number(tmp_path, line, reason):
    write(tmp_path / "Diving_val.txt", f"video 0 1\n{line}\n")
    with pytest.raises(InputError, match=f"Diving_val.txt, line 2: .*{reason}"):
        read_class_segments(tmp_path, "val")
    with pytest.raises(InputError, match=r"no file CLASS_test\.txt"):
        read_class_segments(tmp_path, "test")


def test_50_salads_counts_in_feature_frames(tmp_path):
    notes = [{"segment": [0, 4], "label": 0}, {"segment": [4, 9], "label": 10}, {"segment": [9, 10], "label": 2}]
    write(
        tmp_path / "annotations.json",
        {f"fold{f}_00": {"duration_frame": 10, "fold": f, "annotations": notes} for f in (1, 2)},
    )
    records, classes = ALL["salads50"].read(tmp_path, "test", fold=2)[:2]
    (record,) = records
    assert record.path == str(tmp_path / "features" / "fold2_00.npy")
    assert (record.duration, record.fps, record.num_frames) == (10, 1, 10)
    assert record.segments.tolist() == [[4, 9], [9, 10]]
    assert (record.labels, classes) == (("10", "2"), ("2", "10"))
    assert ALL["salads50"].read(tmp_path, "train", fold=2).records[0].video_id == "fold1_00"
    assert ALL["salads50"].read(tmp_path, "test", leave_background=False).classes == ("0", "2", "10")
    with pytest.raises(InputError, match="has no fold 3; it has 1, 2"):
        ALL["salads50"].read(tmp_path, "test", fold=3)


# ------------------------------------------------------------------------------------------------------- detection


def test_label_maps_on_one_line_or_several(tmp_path):
    text = 'item {\n  name: "stand"\n  id: 12\n}\nitem { name: "sit: {down}" label_id: 3 label_type: MOVEMENT }\n'
    assert read_label_map(write(tmp_path / "a.pbtxt", text)) == {12: "stand", 3: "sit: {down}"}
    with pytest.raises(InputError, match=r"c\.pbtxt ends inside an item or has none"):
        read_label_map(write(tmp_path / "c.pbtxt", 'item {\n name: "a"\n id: 1\n'))
    with pytest.raises(InputError, match=r"d\.pbtxt ends inside an item or has none"):
        read_label_map(write(tmp_path / "d.pbtxt", "stand\nsit\n"))
    with pytest.raises(InputError, match=r"b\.pbtxt, line 2: an item needs a name and a number as id"):
        read_label_map(write(tmp_path / "b.pbtxt", 'item { name: "a" id: 1 }\nitem { name: "b" }\n'))


def test_ava_names_have_their_own_numbers():
    names = detection.AVA_CLASSES
    assert (len(names), names[1], names[12], names[80]) == (81, "bend/bow (at the waist)", "stand", "watch (a person)")


ROW = "vidA0000000,0905,0.1,0.1,0.5,0.9,{},0\n"


def test_rows_of_one_box_are_put_together(tmp_path):
    text = ROW.format(17) + "vidB,0903,0,0,1,1,1,4\n" + ROW.replace("0.1", "0.100").format(12) + ROW.format(12)
    frames = read_ava_rows(write(tmp_path / "a.csv", text))
    assert list(frames) == [("vidA0000000", 905), ("vidB", 903)]
    assert frames["vidA0000000", 905] == {(0.1, 0.1, 0.5, 0.9): (0, [17, 12])}


def test_custom_classes_are_numbered_from_1(tmp_path):
    path = write(tmp_path / "a.csv", ROW.format(17) + ROW.format(80) + ROW.replace("0905", "0906").format(12))
    (boxes,) = read_ava_rows(path, custom_classes=[80, 17]).values()
    assert list(boxes.values()) == [(0, [2, 1])]
    with pytest.raises(InputError, match="need num_classes=3, not 5"):
        read_ava_rows(path, custom_classes=[80, 17], num_classes=5)
    with pytest.raises(InputError, match="the label map has no class 80"):
        read_ava_rows(path, custom_classes=[80, 17], label_map={17: "carry"})


def test_key_frames_without_persons_give_nothing(tmp_path):
    text = "vidA,0904\nvidA,0905,,,,,,\n" + ROW.format(1)
    assert len(read_ava_rows(write(tmp_path / "a.csv", text))) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("vid,0905,0.1,0.1,0.5,0.9,1", "expected 'video,second"),
        ("vid,late,0.1,0.1,0.5,0.9,1,0", "expected 'video,second"),
        ("vid,0905,0.1,0.1,0.5,0.9,walk,0", "expected 'video,second"),
        ("vid,0905,0.6,0.1,0.5,0.9,1,0", "must have x1 <= x2"),
        ("vid,0905,nan,0.1,0.5,0.9,1,0", "must have x1 <= x2"),
        ("vid,0905,0.1,0.1,0.5,0.9,81,0", "class 81 is not from 1 to 80"),
        ("vid,0905,0.1,0.1,0.5,0.9,0,0", "class 0 is not from 1 to 80"),
    ],
)
def test_bad_ava_rows_have_their_line(tmp_path, line, reason):
    path = write(tmp_path / "a.csv", ROW.format(1) + line + "\n")
    with pytest.raises(InputError, match=f"a.csv, line 2: .*{reason}"):
        read_ava_rows(path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("AB"), st.integers(900, 903), st.integers(0, 2), st.integers(1, 80)), max_size=20
    )
)
def test_every_ava_row_is_found_again(tmp_path, rows):
    text = "".join(f"{v},{t:04d},0.{b},0,1,1,{c},{b}\n" for v, t, b, c in rows)
    records = ava_records(read_ava_rows(write(tmp_path / "a.csv", text)))
    found = [
        (r.video_id, r.timestamp, person, label)
        for r in records
        for person, labels in zip(r.entity_ids, r.labels, strict=True)
        for label in labels
    ]
    assert sorted(found) == sorted(set(rows))
    assert all(r.boxes.shape == (len(r.labels), 4) and r.boxes.dtype == np.float32 for r in records)


PROPOSALS = {
    "a,0902": np.array([[0, 0, 0.5, 1, 0.5], [0, 0, 0.4, 1, 0.95], [0, 0, 0.3, 1, 0.92]]),
    "b,0902": np.array([[0, 0, 0.5, 1], [0, 0, 0.4, 1]]),
    "c,0902": np.zeros((0, 5)),
}


@pytest.mark.parametrize(
    ("key", "options", "widths", "scores"),
    [
        ("a,0902", {}, [0.4, 0.3], [0.95, 0.92]),
        ("a,0902", {"max_boxes": 1}, [0.4], [0.95]),
        ("a,0902", {"min_score": 0.99}, [0.4], [0.95]),
        ("a,0902", {"min_score": 0}, [0.5, 0.4, 0.3], [0.5, 0.95, 0.92]),
        ("b,0902", {"max_boxes": 1}, [0.5], None),
        ("c,0902", {}, [], []),
        ("d,0902", {}, [1], [1]),
    ],
)
def test_proposals_of_a_key_frame(tmp_path, key, options, widths, scores):
    boxes, found = read_proposals(write(tmp_path / "a.pkl", PROPOSALS), **options).select(key)
    assert boxes[:, 2].tolist() == pytest.approx(widths)
    assert (found is None) if scores is None else found.tolist() == pytest.approx(scores)


def test_bad_proposals(tmp_path):
    with pytest.raises(InputError, match=r"must be from 0 to 1, not 1\.5"):
        read_proposals(write(tmp_path / "a.pkl", {}), min_score=1.5)
    with pytest.raises(InputError, match=r"'a,0902' must be an array of 4 or 5 columns, not \(3,\)"):
        read_proposals(write(tmp_path / "a.pkl", {"a,0902": np.zeros(3)}))
    with pytest.raises(InputError, match="must hold a dictionary of arrays, not list"):
        read_proposals(write(tmp_path / "a.pkl", []))


def test_excluded_key_frames(tmp_path):
    assert read_excluded(write(tmp_path / "a.csv", "a,0902\nb,1000\n")) == {("a", 902), ("b", 1000)}
    with pytest.raises(InputError, match="line 1: expected 'video,second'"):
        read_excluded(write(tmp_path / "b.csv", "a;0902\n"))


KINETICS = "vidA0000000,0905,0,0,1,1,1,0\nsome_id_000003_000013,0006,0,0,1,1,1,0\nx_000100_000120,0105,0,0,1,1,1,0\n"


def test_videos_of_ava_kinetics_have_their_own_seconds_and_frames(tmp_path):
    path = write(tmp_path / "a.csv", KINETICS)
    proposals = read_proposals(write(tmp_path / "a.pkl", {"some_id,0006": np.array([[0, 0, 0.5, 0.5]])}))
    records = ava_kinetics_records(read_ava_rows(path), proposals=proposals)
    assert [(r.first_second, r.last_second) for r in records] == [(900, 1800), (3, 13), (100, 120)]
    assert [r.shot for r in records] == [(1, 27001), (1, 301), (1, 601)]
    assert records[1].proposals.tolist() == [[0, 0, 0.5, 0.5]]
    records = ava_kinetics_records(read_ava_rows(path), shot_of=last_video(path))
    assert {r.shot for r in records} == {(1, 601)}
    with pytest.raises(InputError, match="'short' must have a name of 11 characters, or NAME_START_END"):
        ava_kinetics_records(read_ava_rows(write(tmp_path / "b.csv", "short,0905,0,0,1,1,1,0\n")))


def test_ava_folder(tmp_path):
    write(tmp_path / "annotations" / "ava_val_v2.2.csv", ROW.format(12) + ROW.replace("0905", "0906").format(12))
    records, classes = ALL["ava22"].read(tmp_path, "val")[:2]
    assert [r.timestamp for r in records] == [905, 906]
    assert records[0].path == str(tmp_path / "rawframes" / "vidA0000000")
    assert records[0].shot == (0, 27000)
    assert classes[records[0].labels[0][0]] == "stand"
    write(tmp_path / "annotations" / "ava_val_excluded_timestamps_v2.2.csv", "vidA0000000,0906\n")
    write(tmp_path / "annotations" / "ava_dense_proposals_val.FAIR.recall_93.9.pkl", {})
    write(tmp_path / "videos" / "vidA0000000.mkv", "")
    (record,), classes = ALL["ava22"].read(tmp_path, "val", frames=False, custom_classes=[12])[:2]
    assert record.path == str(tmp_path / "videos" / "vidA0000000.mkv")
    assert record.shot is None
    assert record.scores.tolist() == [1]
    assert (record.labels, classes) == (((1,),), ("background", "stand"))
    write(tmp_path / "annotations" / "own.pbtxt", 'item { name: "hop" id: 12 }\nitem { name: "lie" id: 1 }')
    classes = ALL["ava22"].read(tmp_path, "val", label_map="own.pbtxt").classes
    assert (len(classes), classes[1], classes[2], classes[12]) == (13, "lie", "class 2", "hop")


def test_ava_in_videos_where_there_are_no_frames(tmp_path):
    text = ROW.format(12) + ROW.replace("vidA", "vidB").format(12)
    write(tmp_path / "annotations" / "ava_val_v2.1.csv", text)
    write(tmp_path / "videos" / "vidA0000000.mkv", "")
    first, second = ALL["ava21"].read(tmp_path, "val").records
    assert (first.path, first.shot) == (str(tmp_path / "videos" / "vidA0000000.mkv"), None)
    assert (second.path, second.shot) == (str(tmp_path / "videos" / "vidB0000000"), None)
    write(tmp_path / "rawframes" / "vidB0000000" / "img_00001.jpg", "")
    first, second = ALL["ava21"].read(tmp_path, "val").records
    assert (first.shot, second.path) == (None, str(tmp_path / "rawframes" / "vidB0000000"))
    assert second.shot == (0, 27000)


def test_what_counts_in_scores_of_ava(tmp_path):
    write(tmp_path / "annotations" / "ava_val_v2.1.csv", ROW.format(12) + ROW.replace("0905", "0906").format(80))
    write(tmp_path / "annotations" / "ava_val_excluded_timestamps_v2.1.csv", "vidA0000000,0906\n")
    (record,), classes, _, protocol, _ = ALL["ava21"].read(tmp_path, "val")
    assert len(protocol.classes) == 60
    assert classes[2] == "crawl"
    assert 2 not in protocol.classes
    assert [(r.timestamp, r.labels) for r in protocol.excluded] == [(906, ((80,),))]
    assert ALL["ava21"].read(tmp_path, "val", custom_classes=[80, 12]).protocol.classes is None
    every = ALL["ava21"].read(tmp_path, "val", all_frames=True).records
    assert [r.timestamp for r in every if len(r.boxes)] == [record.timestamp]
    assert sorted(r.timestamp for r in every) == [s for s in range(902, 1799) if s != 906]


def test_ava_kinetics_as_published(tmp_path):
    write(tmp_path / "annotations" / "ava_train_v2.2.csv", ROW.format(12))
    rows = "_b-000000_1,45.5,0,0,1,1,80\n_b-000000_1,45.5,0,0,1,1,12\n_b-000000_1,46,,,,,\nno_video_00,7.25,0,0,1,1,3\n"
    write(tmp_path / "annotations" / "kinetics_train_v1.0.csv", rows)
    write(tmp_path / "videos" / "_b-000000_1_000031_000041.mp4", "")
    write(tmp_path / "videos" / "_b-000000_1_000041_000051.mp4", "")
    ava, clip, missing = ALL["ava_kinetics"].read(tmp_path, "train").records
    assert ava.video_id == "vidA0000000"
    assert clip.path == str(tmp_path / "videos" / "_b-000000_1_000041_000051.mp4")
    assert (clip.timestamp, clip.first_second, clip.labels, clip.entity_ids) == (45.5, 41, ((80, 12),), (-1,))
    assert (missing.path, missing.first_second) == (str(tmp_path / "videos" / "no_video_00"), 0)
    every = ALL["ava_kinetics"].read(tmp_path, "train", all_frames=True).records
    assert [r.timestamp for r in every if r.path == clip.path] == [45.5, 46]
    # MMAction2's file has the rows of both
    write(tmp_path / "annotations" / "ava_train_v2.2.csv", KINETICS)
    assert len(ALL["ava_kinetics"].read(tmp_path, "train").records) == 3


def test_ava_kinetics_folder(tmp_path):
    write(tmp_path / "annotations" / "ava_train_v2.2.csv", KINETICS)
    read = ALL["ava_kinetics"].read
    assert [r.shot for r in read(tmp_path, "train").records] == [(1, 27001), (1, 301), (1, 601)]
    assert {r.shot for r in read(tmp_path, "train", shot_of_last_row=True).records} == {(1, 601)}
    assert {r.shot for r in read(tmp_path, "train", frames=False).records} == {None}


def tubes(**changes):
    tube = np.array([[2, 0, 0, 32, 24], [3, 8, 6, 40, 30]], dtype=np.float32)
    other = np.array([[3, 16, 12, 64, 48]], dtype=np.float32)
    return {
        "labels": ["run", "sit down"],
        "gttubes": {"Run/a": {1: [tube], 0: [other]}, "Run/b": {}},
        "nframes": {"Run/a": 5, "Run/b": 4},
        "train_videos": [["Run/b"], ["Run/a"]],
        "test_videos": [["Run/a"]],
        "resolution": {"Run/a": (48, 64), "Run/b": (48, 64)},
    } | changes


def test_tubes_give_a_record_for_every_annotated_frame(tmp_path):
    path = write(tmp_path / "UCF101v2-GT.pkl", tubes())
    records, classes = ALL["ucf101_24"].read(tmp_path, "test")[:2]
    assert classes == ("run", "sit down")
    assert [(r.timestamp, r.first_second, r.shot) for r in records] == [(2, 1, (0, 5)), (3, 1, (0, 5))]
    assert records[0].path == str(tmp_path / "rgb-images" / "Run" / "a")
    assert records[1].boxes.tolist() == [[0.125, 0.125, 0.625, 0.625], [0.25, 0.25, 1, 1]]
    assert (records[1].labels, records[1].entity_ids) == (((1,), (0,)), (0, 1))
    in_pixels = read_tubes(path, "train", fold=2, pixels=True).records
    assert in_pixels[1].boxes.tolist() == [[8, 6, 40, 30], [16, 12, 64, 48]]
    assert read_tubes(path, "train").records == []


def test_tubes_in_videos_and_in_every_frame(tmp_path):
    write(tmp_path / "UCF101v2-GT.pkl", tubes())
    write(tmp_path / "videos" / "Run" / "a.avi", "")
    records = ALL["ucf101_24"].read(tmp_path, "test", all_frames=True).records
    assert [(r.timestamp, len(r.boxes), len(r.labels)) for r in records] == [
        (1, 0, 0),
        (2, 1, 1),
        (3, 2, 2),
        (4, 0, 0),
        (5, 0, 0),
    ]
    assert {r.path for r in records} == {str(tmp_path / "videos" / "Run" / "a.avi")}
    assert len(ALL["ucf101_24"].read(tmp_path, "train", all_frames=True).records) == 4  # of a video without tubes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"test_videos": [["Run/c"]]}, "video 'Run/c' needs tubes"),
        ({"test_videos": []}, "no fold 1 of split 'test'; it has 0"),
        ({"labels": ["run"]}, "expected classes below 1"),
        ({"nframes": {"Run/a": 2}}, "must be from 1 to 2"),
        ({"gttubes": {"Run/a": {0: [np.zeros((1, 4))]}}}, r"with \(1, 4\)"),
    ],
)
def test_bad_tubes(tmp_path, changes, reason):
    with pytest.raises(InputError, match=reason):
        read_tubes(write(tmp_path / "a.pkl", tubes(**changes)), "test")


def test_another_pickle_is_no_file_of_tubes(tmp_path):
    with pytest.raises(InputError, match="it has no 'labels'"):
        read_tubes(write(tmp_path / "a.pkl", {}), "test")


def test_multisports_from_its_pickle_or_from_rows(tmp_path):
    names = [name.replace("_", " ") for name in detection.read_labels("multisports")]
    write(tmp_path / "trainval" / "multisports_GT.pkl", tubes(labels=names))
    records, classes, _, protocol, _ = ALL["multisports"].read(tmp_path, "val")
    assert {classes[i] for i in set(range(66)) - set(protocol.classes)} == {
        "aerobic_kick_jump",
        "aerobic_off_axis_jump",
        "aerobic_butterfly_jump",
        "aerobic_balance_turn",
        "basketball_save",
        "basketball_jump_ball",
    }
    assert (len(records), records[0].path) == (2, str(tmp_path / "trainval" / "Run" / "a.mp4"))
    assert (classes[0], len(classes)) == ("aerobic_push_up", 66)
    write(tmp_path / "annotations" / "multisports_val.csv", "Run/a.mp4,2,0.0,0.0,0.5,0.5,0,0\n")
    (record,) = ALL["multisports"].read(tmp_path, "val").records
    assert (record.path, record.timestamp, record.labels) == (records[0].path, 2, ((0,),))
    assert (record.first_second, record.shot) == (1, None)
    assert len(ALL["multisports"].read(tmp_path, "val", all_frames=True).records) == 5
    write(tmp_path / "trainval" / "multisports_GT.pkl", tubes())
    with pytest.raises(InputError, match="66 classes"):
        ALL["multisports"].read(tmp_path, "train")


OWN = "video,time,x1,y1,x2,y2,label,person\na.mp4,0.5,0.1,0.2,0.3,0.4,walk,3\na.mp4,0.5,0.1,0.2,0.3,0.4,talk,3\n"


def test_own_boxes(tmp_path):
    write(tmp_path / "train.csv", OWN + "b.mp4,1,0,0,1,1,walk,\n")
    write(tmp_path / "test.csv", "nonsense")
    records, classes = ALL["boxes"].read(tmp_path, "train")[:2]
    assert classes == ("talk", "walk")
    write(tmp_path / "test.csv", OWN.replace("talk", "run"))
    assert ALL["boxes"].read(tmp_path, "train").classes == ("run", "talk", "walk")
    assert [(r.timestamp, r.labels, r.entity_ids) for r in records] == [(0.5, ((1, 0),), (3,)), (1, ((1,),), (-1,))]
    assert records[0].path == str(tmp_path / "videos" / "a.mp4")
    write(tmp_path / "classes.txt", "walk\ntalk\n")
    row = {"video": "a.mp4", "time": 1.5, "x1": 10, "y1": 20, "x2": 30, "y2": 40, "label": "talk", "person": 0}
    write(tmp_path / "val.json", [row])
    (record,), classes = ALL["boxes"].read(tmp_path, "val", pixels=True)[:2]
    assert (record.boxes.tolist(), record.labels, record.entity_ids) == ([[10, 20, 30, 40]], ((1,),), (0,))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a.mp4,0.5,0.1,0.2,0.1,0.4,walk,3", "x1 < x2"),
        ("a.mp4,0.5,0.1,0.2,1.3,0.4,walk,3", "fractions from 0 to 1"),
        ("a.mp4,soon,0.1,0.2,0.3,0.4,walk,3", "time must be a number, not 'soon'"),
        ("a.mp4,-1,0.1,0.2,0.3,0.4,walk,3", "time must be from 0"),
        ("a.mp4,0.5,0.1,0.2,0.3,nan,walk,3", "y1 < y2"),
        ("a.mp4,0.5,0.1,0.2,0.3,0.4,wlak,3", "unknown class 'wlak'; did you mean 'walk'"),
        ("a.mp4,0.5,0.1,0.2,0.3,0.4,,3", "label missing"),
        ("a.mp4,0.5,0.1", "x2, y2, label missing|y1, x2, y2, label missing"),
        ("a.mp4,0.5,0.1,0.2,0.3,0.4,walk,3,9", "more fields than the header"),
        ("a.mp4,0.5,0.1,0.2,0.3,0.4,walk,me", "person must be a number"),
        ("a.mp4,0.5,0.1,0.2,0.3,0.4,walk,1.5", "person must be a whole number"),
        ("a.mp4,0.5,0.1,x,0.3,0.4,walk,3", "y1 must be a number, not 'x'"),
        ("a.mp4 ,0.50,0.1,0.2,0.3, 0.4,talk,3", "the same as line 3; leave one"),
    ],
)
def test_bad_own_boxes_have_line_and_reason(tmp_path, line, reason):
    path = write(tmp_path / "a.csv", OWN + line + "\n")
    with pytest.raises(InputError, match=f"a.csv, line 4: .*({reason})"):
        read_boxes(path, classes=["walk", "talk"])


def test_other_errors_of_own_boxes(tmp_path):
    with pytest.raises(InputError, match="line 1: the header lacks x2, label"):
        read_boxes(write(tmp_path / "a.csv", "video,time,x1,y1,y2\n"))
    with pytest.raises(InputError, match="line 1: the header has label twice"):
        read_boxes(write(tmp_path / "a.csv", OWN.replace("person", "label")))
    with pytest.raises(InputError, match="line 1: no row follows"):
        read_boxes(write(tmp_path / "a.csv", OWN.splitlines()[0]))
    (tmp_path / "a.csv").write_bytes(OWN.replace("talk", "caf\xe9").encode("latin-1"))
    with pytest.raises(InputError, match="line 3: it is not UTF-8 text"):
        read_boxes(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"b\.json, item 1: video, time"):
        read_boxes(write(tmp_path / "b.json", [{}]))
    with pytest.raises(InputError, match="must hold a list of objects, not dict"):
        read_boxes(write(tmp_path / "b.json", {}))


ITEM = {"video": "a.mp4", "time": 1, "x1": 0, "y1": 0, "x2": 1, "y2": 1, "label": "walk"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": ["walk", "talk"]}, "label must be text, a row for each class"),
        ({"label": 0}, "label must be text, not 0"),
        ({"video": 3}, "video must be text, not 3"),
        ({"person": 1.7}, r"person must be a whole number, not 1\.7"),
        ({"x2": True}, "x2 must be a number, not True"),
        ({"time": [1]}, r"time must be a number, not \[1\]"),
    ],
)
def test_bad_json_boxes_have_their_number(tmp_path, change, reason):
    with pytest.raises(InputError, match=rf"b\.json, item 2: {reason}"):
        read_boxes(write(tmp_path / "b.json", [ITEM, ITEM | change]))


def test_blanks_around_cells_do_not_count(tmp_path):
    text = "video, time, x1, y1, x2, y2, label\n a.mp4 , 0.5, 0.1, 0.2, 0.3, 0.4, walk \n"
    (record,), classes = read_boxes(write(tmp_path / "a.csv", text))[:2]
    assert (record.video_id, classes) == ("a.mp4", ("walk",))


def test_two_persons_in_one_box_are_two(tmp_path):
    text = OWN.replace("talk,3", "talk,4")
    (record,) = read_boxes(write(tmp_path / "a.csv", text)).records
    assert (record.boxes.shape, record.labels, record.entity_ids) == ((2, 4), ((1,), (0,)), (3, 4))


def test_key_frames_with_nobody_are_told_on_request(tmp_path):
    path = write(tmp_path / "a.csv", OWN + "a.mp4,2,,,,,,\n")
    assert len(read_boxes(path).records) == 1
    nobody = read_boxes(path, all_frames=True).records[1]
    assert (nobody.timestamp, nobody.boxes.shape, nobody.labels) == (2, (0, 4), ())


def test_all_that_is_wrong_with_own_boxes_is_told(tmp_path):
    render(tmp_path / "a.mp4", frames=25, fps=25)
    lines = ["a.mp4,x,0,0,1,1,walk,", "b.mp4,0,0,0,1,1,walk,", "a.mp4,1.5,0,0,1,1,walk,", "a.mp4,0,0,0,1,2,walk,"]
    path = write(tmp_path / "t.csv", OWN + "\n".join(lines))
    found = box_problems(path, folder=tmp_path)
    assert [text.removeprefix(f"{path}, line ")[:20] for text in found] == [
        "4: time must be a nu",
        "7: expected corners ",
        "6: time 1.5 is beyon",
        "5: there is no video",
    ]
    assert box_problems(write(tmp_path / "t.csv", OWN), folder=tmp_path) == []


# -------------------------------------------------------------------------------------------------------- skeleton


def pose(name="a", **changes):
    item = {"frame_dir": name, "label": 1, "total_frames": 4, "keypoint": np.zeros((1, 4, 17, 2), np.float16)}
    return item | {"keypoint_score": np.ones((1, 4, 17), np.float16), "img_shape": (48, 64)} | changes


def test_poses_of_a_split(tmp_path):
    content = {"split": {"train": ["b"], "val": ["a", "c"]}, "annotations": [pose(n, extra=n) for n in "cba"]}
    path = write(tmp_path / "poses.pkl", content)
    records = ALL["poses"].read(tmp_path, "val").records
    assert [(r.name, r.extra) for r in records] == [("c", {"extra": "c"}), ("a", {"extra": "a"})]
    assert (records[0].label, records[0].num_frames, records[0].image_size) == (1, 4, (48, 64))
    assert records[0].keypoints.shape == (1, 4, 17, 2)
    assert len(read_poses(path)) == 3
    with pytest.raises(UnknownNameError, match="unknown split 'trian'; did you mean 'train'"):
        read_poses(path, split="trian")


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        ([pose()], {"split": "train"}, "has no splits"),
        ({"a": 1}, {}, "must hold a list of annotations"),
        ([{"label": 1}], {}, "annotation 1: frame_dir, total_frames missing"),
        ([7], {}, "annotation 1: frame_dir, label, total_frames missing"),
        ([pose(label=None)], {}, "annotation 1: label and total_frames must be whole numbers"),
        ([pose(keypoint=None)], {}, 'neither "keypoint" nor "raw_file"'),
        ([pose(keypoint=np.zeros(4))], {}, r"must be \(persons, frames, joints, 2 or 3\), not \(4,\)"),
        ([pose()], {"valid_ratio": 0.5}, 'valid_ratio needs "valid"'),
        (
            [pose(valid={0.5: 4}, box_score=np.ones(4))],
            {"valid_ratio": 0.5, "min_box_score": 0.55},
            "min_box_score must be one of 0.5, not 0.55",
        ),
    ],
)
def test_bad_poses(tmp_path, content, options, reason):
    with pytest.raises(InputError, match=reason):
        read_poses(write(tmp_path / "a.pkl", content), **options)


def test_kinetics_poses_are_in_other_files(tmp_path):
    item = pose(raw_file="data/k400/kpfiles/a.pkl", frame_inds=np.arange(4))
    del item["keypoint"]
    write(tmp_path / "k400_2d.pkl", {"split": {"train": ["a"]}, "annotations": [item]})
    (record,) = ALL["kinetics400_2d"].read(tmp_path, "train").records
    assert record.extra["raw_file"] == str(tmp_path / "kpfiles" / "a.pkl")
    assert record.keypoints.size == 0
    boxes = np.arange(4 * 17 * 3.0).reshape(4, 17, 3)
    write(tmp_path / "kpfiles" / "a.pkl", {"a": {"keypoint": boxes}, "b": {}})
    assert load_keypoints(record).keypoints.tolist() == boxes.tolist()
    write(tmp_path / "kpfiles" / "a.pkl", {"b": {}})
    with pytest.raises(InputError, match=r"a\.pkl has no skeletons of 'a'"):
        load_keypoints(record)


def test_kinetics_poses_in_a_file_for_each_video(tmp_path):
    item = pose(valid={0.5: 4}, box_score=np.array([0.9, 0.9, 0.2, 0.9]))
    del item["keypoint"], item["keypoint_score"]
    write(tmp_path / "k400_2d.pkl", {"split": {"train": ["a"]}, "annotations": [item]})
    boxes = np.arange(4 * 17 * 3.0).reshape(4, 17, 3)
    write(tmp_path / "kpfiles" / "a.pkl", {"keypoint": boxes, "frame_inds": np.array([0, 1, 1, 3])})
    (record,) = ALL["kinetics400_2d"].read(tmp_path, "train", valid_ratio=0.5).records
    stored = load_keypoints(record)
    assert (stored.name, stored.image_size) == ("a", (48, 64))
    assert stored.keypoints.tolist() == boxes.tolist()
    assert load_keypoints(record, by_person=True).keypoints.shape == (1, 3, 17, 2)  # the third box is not sure enough
    write(tmp_path / "kpfiles" / "a.pkl", [])
    with pytest.raises(InputError, match=r"a\.pkl has no skeletons of 'a'"):
        load_keypoints(record)


@pytest.mark.parametrize(
    ("name", "file", "split"),
    [
        ("ucf101_2d", "ucf101_hrnet.pkl", "train1"),
        ("hmdb51_2d", "hmdb51_hrnet.pkl", "train1"),
        ("gym_2d", "gym_hrnet.pkl", "train"),
        ("diving48_2d", "diving48_hrnet.pkl", "train"),
        ("ntu60_2d", "ntu60_hrnet.pkl", "xsub_train"),
        ("ntu60_3d", "ntu60_3danno.pkl", "xsub_train"),
        ("ntu120_2d", "ntu120_hrnet.pkl", "xsub_train"),
        ("ntu120_3d", "ntu120_3danno.pkl", "xsub_train"),
        ("kinetics400_2d", "k400_hrnet.pkl", "train"),
    ],
)
def test_both_names_of_published_skeletons(tmp_path, name, file, split):
    content = {"split": {split: ["a"]}, "annotations": [pose()]}
    write(tmp_path / "other.pkl", content)
    with pytest.raises(InputError, match=f"there is no .*_[23]d.pkl or {file} in"):
        ALL[name].read(tmp_path, split)
    write(tmp_path / file, content)
    assert len(ALL[name].read(tmp_path, split).records) == 1


def test_skeletons_of_ones_own_have_any_splits_or_none(tmp_path):
    write(tmp_path / "mine.pkl", {"split": {"xsub_train": ["b"]}, "annotations": [pose(n) for n in "ab"]})
    assert len(create_dataset("poses", tmp_path, "xsub_train")) == 1
    assert len(create_dataset("poses", tmp_path, "")) == 2
    with pytest.raises(UnknownNameError, match="did you mean 'xsub_train'"):
        create_dataset("poses", tmp_path, "train")
    write(tmp_path / "mine.pkl", [pose()])
    assert len(create_dataset("poses", tmp_path, "")) == 1
    with pytest.raises(InputError, match="has no splits: leave split"):
        create_dataset("poses", tmp_path, "train")


def test_the_only_pickle_of_a_folder_is_meant(tmp_path):
    write(tmp_path / "mine.pkl", [pose()])
    assert len(create_dataset("poses", tmp_path, "")) == 1
    write(tmp_path / "other.pkl", [pose(), pose()])
    with pytest.raises(InputError, match=r"holds mine\.pkl, other\.pkl: call the right one poses\.pkl"):
        create_dataset("poses", tmp_path, "")
    assert len(create_dataset("poses", tmp_path, "", annotation="other.pkl")) == 2
    write(tmp_path / "poses.pkl", [pose()] * 3)
    assert len(create_dataset("poses", tmp_path, "")) == 3


def test_the_axis_of_one_person_may_be_missing(tmp_path):
    item = pose(keypoint=np.ones((4, 17, 2)), keypoint_score=np.ones((4, 17)))
    (record,) = read_poses(write(tmp_path / "a.pkl", [item]))
    assert (record.keypoints.shape, record.scores.shape) == ((1, 4, 17, 2), (1, 4, 17))


def test_splits_that_a_data_set_lacks_are_listed(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown split of utd_mhad 'val': it is one of 'train', 'test'"):
        create_dataset("utd_mhad", tmp_path, "val")


def test_poses_in_the_annotation_file_are_left_as_they_are(tmp_path):
    (record,) = read_poses(write(tmp_path / "a.pkl", [pose()]))
    assert load_keypoints(record) is record


def test_ntu_protocols():
    assert ntu_parts("S017C003P008R002A060.skeleton") == {
        "setup": 17,
        "camera": 3,
        "performer": 8,
        "replication": 2,
        "action": 60,
    }
    assert ntu_split("S001C001P003R001A001", "xset", 120) == "val"
    assert ntu_split("S018C001P045R001A061", "xset", 120) == ntu_split("S018C001P045R001A061", "xsub", 120) == "train"
    assert ntu_split("S001C001P001R001A001", "xview") == "val"
    with pytest.raises(UnknownNameError, match="unknown protocol 'xsubj'; did you mean 'xsub'"):
        ntu_split("S001C001P001R001A001", "xsubj")
    with pytest.raises(InputError, match="'a1_s1' is not a sample of NTU"):
        ntu_parts("a1_s1")


def test_persons_of_the_ntu_protocols():
    persons = [f"S001C001P{p:03d}R001A001" for p in range(1, 107)]
    assert sum(ntu_split(name, "xsub", 60) == "train" for name in persons[:40]) == 20
    assert sum(ntu_split(name, "xsub", 120) == "train" for name in persons) == 53


def test_samples_without_a_skeleton():
    missing = ntu_missing()
    assert len(missing) == 535
    assert sum(ntu_parts(name)["action"] <= 60 for name in missing) == 302


def skeleton_text(frames):
    """Text of a ``.skeleton`` file: for each frame {body id: value of all its coordinates}."""
    lines = [len(frames)]
    for bodies in frames:
        lines.append(len(bodies))
        for body_id, value in bodies.items():
            lines += [f"{body_id} 0 1 1 0 0 0 0.1 -0.2 2", 25]
            lines += [f"{value + j / 32} {value} {-value} 200.1 210.2 900.3 500.4 0 0 0 0 2" for j in range(25)]
    return "\n".join(map(str, lines)) + "\n"


def test_bodies_of_an_ntu_file(tmp_path):
    path = tmp_path / "S001C002P001R002A013.skeleton"
    record = read_ntu_skeleton(write(path, skeleton_text([{"72": 0.5}, {}, {"9": 2.0, "72": 1.0}])))
    assert (record.name, record.label, record.num_frames) == (path.stem, 12, 3)
    assert record.keypoints.shape == (2, 3, 25, 3)
    assert record.keypoints[:, :, 1].tolist() == [
        [[0.53125, 0.5, -0.5], [0, 0, 0], [1.03125, 1, -1]],
        [[0, 0, 0], [0, 0, 0], [2.03125, 2, -2]],
    ]
    assert (record.extra["camera"], record.extra["body_ids"]) == (2, ("72", "9"))
    assert read_ntu_skeleton(write(path, skeleton_text([{}]))).keypoints.shape == (0, 1, 25, 3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 0: the file ends early"),
        ("many\n", "line 1: expected a number, not 'many'"),
        (skeleton_text([{"1": 1.0}])[:-200], "the file ends early|expected joints"),
        (skeleton_text([{"1": 1.0}]).replace("\n25\n", "\n20\n"), "line 4: expected 25 joints, not 20"),
        (skeleton_text([{"1": 1.0}]).replace("1.125", "x"), "lines 5 to 29: expected joints"),
    ],
)
def test_bad_ntu_files(tmp_path, text, reason):
    with pytest.raises(InputError, match=reason):
        read_ntu_skeleton(write(tmp_path / "S001C001P001R001A001.skeleton", text))


def test_ntu_folder(tmp_path):
    with pytest.raises(InputError, match=r"no \.skeleton file"):
        ALL["ntu60_raw"].read(tmp_path, "xsub_train")
    text = skeleton_text([{"1": 0.5}])
    for name in ("S001C001P001R001A001", "S001C001P003R001A002", "S018C001P008R001A061", "S001C002P005R002A008"):
        write(tmp_path / "raw" / f"{name}.skeleton", text)
    assert [r.name[8:12] for r in ALL["ntu60_raw"].read(tmp_path, "xsub_train").records] == ["P001"]
    assert [r.name[8:12] for r in ALL["ntu60_raw"].read(tmp_path, "xsub_val").records] == ["P003"]
    records, classes = ALL["ntu120_raw"].read(tmp_path, "xset_train")[:2]
    assert [classes[r.label] for r in records] == ["put on headphone"]


def test_utd_mhad(tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    joints = np.arange(20 * 3 * 4.0).reshape(20, 3, 4)
    (tmp_path / "Skeleton").mkdir()
    for subject in (1, 2):
        savemat(tmp_path / "Skeleton" / f"a27_s{subject}_t3_skeleton.mat", {"d_skel": joints})
    (record,), classes = ALL["utd_mhad"].read(tmp_path, "train")[:2]
    assert (record.label, record.num_frames, record.extra) == (26, 4, {"subject": 1, "trial": 3})
    assert record.keypoints.shape == (1, 4, 20, 3)
    assert record.keypoints[0, 2, 5].tolist() == joints[5, :, 2].tolist()
    assert len(classes) == 27
    savemat(tmp_path / "Skeleton" / "a1_s1_t1_skeleton.mat", {"d_skel": joints[0]})
    with pytest.raises(InputError, match=r"d_skel must be \(20, 3, frames\)"):
        ALL["utd_mhad"].read(tmp_path, "train")
    (tmp_path / "Skeleton" / "a1_s1_t1_skeleton.mat").write_bytes(b"not MATLAB" * 20)
    with pytest.raises(InputError, match="not a readable MATLAB 5 file"):
        ALL["utd_mhad"].read(tmp_path, "train")
    with pytest.raises(InputError, match=r"no \.mat file"):
        ALL["penn_action"].read(tmp_path, "train")


def test_penn_action(tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    (tmp_path / "labels").mkdir()
    content = {
        "action": "squat",
        "pose": "back",
        "x": np.arange(26.0).reshape(2, 13),
        "y": np.ones((2, 13)),
        "visibility": np.eye(2, 13, dtype=np.uint8),
        "train": -1,
        "bbox": np.ones((2, 4)),
        "dimensions": np.array([[48, 64, 2]]),
        "nframes": 2,
    }
    savemat(tmp_path / "labels" / "0001.mat", content)
    assert ALL["penn_action"].read(tmp_path, "train").records == []
    (record,), classes = ALL["penn_action"].read(tmp_path, "test")[:2]
    assert (classes[record.label], record.num_frames, record.image_size) == ("squat", 2, (48, 64))
    assert record.keypoints[0, 1, 2].tolist() == [15, 1]
    assert record.scores.tolist() == np.eye(2, 13)[None].tolist()
    assert record.extra["boxes"].shape == (2, 4)
    savemat(tmp_path / "labels" / "0001.mat", content | {"action": "squad"})
    with pytest.raises(InputError, match="unknown class 'squad'; did you mean 'squat'"):
        ALL["penn_action"].read(tmp_path, "test")
    savemat(tmp_path / "labels" / "0001.mat", {k: v for k, v in content.items() if k != "bbox"})
    with pytest.raises(InputError, match="has no variable bbox"):
        ALL["penn_action"].read(tmp_path, "test")


def test_mat_files_without_scipy(tmp_path, monkeypatch):
    write(tmp_path / "a1_s1_t1_skeleton.mat", "")
    monkeypatch.setitem(__import__("sys").modules, "scipy.io", None)
    with pytest.raises(InputError, match=r"pip install 'vidhub\[skeleton\]'"):
        ALL["utd_mhad"].read(tmp_path, "train")


# ------------------------------------------------------------------------------------------------------- the tables


@pytest.mark.parametrize("info", ALL.values(), ids=list(ALL))
def test_every_data_set_is_described(info, tmp_path):
    assert info.task in ("audio", "detection", "localization", "skeleton")
    assert set(info.counts) <= set(info.splits)
    assert all((info.title, info.layout, info.splits))
    with pytest.raises(InputError, match=r"there is no"):
        info.read(tmp_path, info.splits[0])


def test_names_of_data_sets_are_unique():
    assert len(ALL) == sum(len(module.DATASETS) for module in (audio, detection, localization, skeleton))


@pytest.mark.parametrize(
    ("label_set", "size"),
    [
        ("activitynet", 200),
        ("ava", 80),
        ("jhmdb", 21),
        ("multisports", 66),
        ("ntu60", 60),
        ("ntu120", 120),
        ("penn_action", 15),
        ("thumos14", 20),
        ("ucf101_24", 24),
        ("utd_mhad", 27),
    ],
)
def test_label_sets(label_set, size):
    names = detection.read_labels(label_set)
    assert len(set(names)) == len(names) == size
    assert all(name == name.strip() and name for name in names)
