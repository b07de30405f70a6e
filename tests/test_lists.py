"""Generic lists: MMAction2's, class folders, tables, archives and shards."""

import io
import itertools
import json
import os
import runpy
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media import draw, read_number, render
from PIL import Image

from vidhub.datasets import archives
from vidhub.datasets.archives import list_members, open_member
from vidhub.datasets.catalog import create_dataset
from vidhub.datasets.check import CheckReport, write_bad_files
from vidhub.datasets.dataset import VideoDataset, open_video
from vidhub.datasets.lists import read_frame_list, read_tag_list, read_video_list
from vidhub.datasets.records import VideoRecord
from vidhub.errors import InputError, UnknownNameError, VideoError


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return Path(render(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=8)).read_bytes()


def picture(number):
    file = io.BytesIO()
    Image.fromarray(draw(number)).save(file, "PNG")
    return file.getvalue()


# ----------------------------------------------------------------------------------------------------- published lists

CASES = json.loads((Path(__file__).parent / "data" / "pipeline_annotations.json").read_text())
if reference := os.environ.get("VIDHUB_REFERENCE"):
    published = Path(reference) / "pipeline"
    for case in json.loads((published / "annotations.json").read_text())["cases"]:
        if case["op"] in ("video", "rawframe", "hvu", "multi_class"):
            text = (published / case["input"]["file"]).read_text() if "file" in case["input"] else ""
            CASES.append({**case, "id": f"all-{case['id']}", "text": text})


def target_of(record, num_classes):
    return VideoDataset([record], num_classes=num_classes).target(0)


def as_label(record, params):
    label = target_of(record, params.get("num_classes") or 0)
    return label if isinstance(label, int) else label.tolist()


def video_items(path, params):
    prefix = params.get("data_prefix", {}).get("video", "")
    multi = params.get("multi_class", False)
    options = {"delimiter": params.get("delimiter", " "), "multi_label": multi}
    for record in read_video_list(path, prefix, num_classes=params.get("num_classes"), **options):
        yield {"filename": record.path, "label": as_label(record, params), "modality": "RGB", "start_index": 0}


def frame_items(path, params):
    template, start = params.get("filename_tmpl", "img_{:05}.jpg"), params.get("start_index", 1)
    offset, multi = params.get("with_offset", False), params.get("multi_class", False)
    options = {"with_offset": offset, "multi_label": multi, "template": template, "start_index": start}
    prefix = params.get("data_prefix", {}).get("img", "")
    options |= {"delimiter": params.get("delimiter", " "), "num_classes": params.get("num_classes")}
    for record in read_frame_list(path, prefix, **options):
        item = {"frame_dir": record.path, "total_frames": record.num_frames, "label": as_label(record, params)}
        item |= {"modality": params.get("modality", "RGB"), "start_index": start, "filename_tmpl": record.template}
        yield item | ({"offset": record.first_frame - start} if offset else {})


def tag_items(path, params):
    sizes = dict(zip(params["categories"], params["category_nums"], strict=True))
    for record in read_tag_list(path, categories=sizes):
        target = VideoDataset([record], categories=sizes).target(0).numpy()
        edges = np.cumsum([0, *sizes.values()])
        known = [int(not np.isnan(target[a:b]).any()) for a, b in itertools.pairwise(edges)]
        yield {
            "positive": np.flatnonzero(target == 1).tolist(),
            "mask_sum": int((~np.isnan(target)).sum()),
            "mask_ranges": [[k] for k in known],
            "category_mask": known,
            "length": len(target),
        }


READERS = {"video": video_items, "rawframe": frame_items, "hvu": tag_items}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_published_lists(case, tmp_path):
    params, expected = case.get("params", {}), case["expected"]
    if case["op"] == "multi_class":
        record = VideoRecord("v", tuple(case["input"]["label"]))
        assert target_of(record, params["num_classes"]).tolist() == expected["label"]
        return
    path = tmp_path / "list.txt"
    path.write_text(case["text"])
    if "error" in expected:
        with pytest.raises(InputError):
            list(READERS[case["op"]](path, params))
        return
    items = list(READERS[case["op"]](path, params))
    if (indices := params.get("indices")) is not None:  # which ones to take: a slice or a choice
        items = [items[i] for i in indices] if isinstance(indices, list) else items[:indices]
    assert items == expected["items"]


names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)


@given(st.lists(st.tuples(names, st.integers(0, 999)), min_size=1))
def test_any_list_reads_back(rows):
    folder = Path(os.environ.get("TMPDIR", "/tmp"))
    path = folder / f"vidhub_list_{os.getpid()}.txt"
    path.write_text("".join(f"{name} {label}\n" for name, label in rows), encoding="utf-8")
    try:
        assert [(r.path, r.label) for r in read_video_list(path)] == rows
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a.mp4 x\n", {}, "line 1: labels must be whole numbers"),
        ("a.mp4 0\nb.mp4 7\n", {"num_classes": 5}, "line 2: label 7 is not from 0 to 4"),
        ("a.mp4 0 1\n", {}, "line 1: 2 labels where one is expected"),
    ],
)
def test_wrong_lines_are_told(tmp_path, text, options, message):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_video_list(tmp_path / "list.txt", **options)


def test_blanks_around_a_delimiter_are_no_part_of_names(tmp_path):
    (tmp_path / "list.txt").write_text("my video.mp4 , 0\n")
    assert read_video_list(tmp_path / "list.txt", delimiter=",") == [VideoRecord("my video.mp4", 0)]


def test_wrong_frame_lists_are_told(tmp_path):
    (tmp_path / "list.txt").write_text("folder many 3\n")
    with pytest.raises(InputError, match="line 1: expected folder, frames and labels"):
        read_frame_list(tmp_path / "list.txt")


# ----------------------------------------------------------------------------------------------------------- folders


def test_class_folders(tmp_path, clip):
    for path in ("train/b/1.mp4", "train/a/2.MP4", "train/a/.hidden.mp4", "train/a/notes.txt", "val/c/3.avi"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(clip)
    (tmp_path / "train" / "empty").mkdir()
    (tmp_path / "runs" / "mine").mkdir(parents=True)  # results of training, no split
    data = create_dataset("folder", tmp_path, "train")
    assert data.classes == ("a", "b", "c", "empty")
    assert [(os.path.relpath(r.path, tmp_path), r.label) for r in data.records] == [
        ("train/a/2.MP4", 0),
        ("train/b/1.mp4", 1),
    ]
    assert len(data[0][0]) == 8
    assert create_dataset("folder", tmp_path, "val").labels == [2]
    with pytest.raises(InputError, match="has no folder 'test'; it has runs, train, val"):
        create_dataset("folder", tmp_path, "test")


def test_folders_of_frames(tmp_path):
    for video, first in (("v2", 0), ("v10", 4)):
        folder = tmp_path / "train" / "run" / video
        folder.mkdir(parents=True)
        for i in range(3):
            (folder / f"{i}.png").write_bytes(picture(first + i))
    data = create_dataset("folder", tmp_path, "train")
    assert [os.path.basename(r.path) for r in data.records] == ["v2", "v10"]
    assert [read_number(frame) for frame in data[1][0]] == [4, 5, 6]


def test_pictures_beside_a_video_are_no_video(tmp_path):
    (tmp_path / "train" / "a" / "1").mkdir(parents=True)
    for name in ("v.mts", "poster.jpg"):
        (tmp_path / "train" / "a" / "1" / name).touch()
    (record,) = create_dataset("folder", tmp_path, "train").records
    assert record.path.endswith("v.mts")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
def test_names_may_be_in_no_known_encoding(tmp_path):
    (tmp_path / "a").mkdir()
    path = os.path.join(os.fsencode(tmp_path), b"a", b"caf\xe9.mp4")
    open(path, "wb").close()
    (record,) = create_dataset("folder", tmp_path, "train").records
    write_bad_files(CheckReport(1, 0, [(record.path, "empty")]), tmp_path / "bad_files.txt")
    assert len(create_dataset("folder", tmp_path, "train")) == 0


def test_a_holdout_splits_what_has_no_splits(tmp_path, clip):
    for i in range(40):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[i % 2] / f"{i}.mp4").write_bytes(b"")
    train, val = (create_dataset("folder", tmp_path, split, holdout=0.25) for split in ("train", "val"))
    paths = [{r.path for r in part.records} for part in (train, val)]
    assert not paths[0] & paths[1]
    assert len(paths[0] | paths[1]) == 40
    assert 3 <= len(paths[1]) <= 20
    assert len(create_dataset("folder", tmp_path, "train")) == 40
    with pytest.raises(InputError, match="no holdout"):
        create_dataset("folder", tmp_path, "val")


# ------------------------------------------------------------------------------------------------------ archives


def pack(path, files):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_class_folders_inside_an_archive(tmp_path, clip, suffix):
    frames = {f"train/b/frames/{i}.png": picture(i) for i in (1, 2, 10)}
    hidden = {"__MACOSX/train/a/1.mp4": b"", "train/a/._1.mp4": b""}
    path = pack(tmp_path / f"data{suffix}", {"train/a/1.mp4": clip, **frames, **hidden})
    assert len(list_members(path)) == 4
    data = create_dataset("folder", path, "train")
    assert data.classes == ("a", "b")
    assert len(data[0][0]) == 8
    assert [read_number(frame) for frame in data[1][0]] == [1, 2, 10]
    with pytest.raises(FileNotFoundError, match="there is no 'none'"):
        open_member(f"{path}::none")


def test_damaged_archives_are_told(tmp_path, clip):
    whole = pack(tmp_path / "a.tar", {"1.mp4": clip, "2.mp4": clip}).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: 512 * 3 + len(clip) + 600])
    with pytest.raises(VideoError, match=r"cut\.tar"):
        open_video(VideoRecord(f"{tmp_path / 'cut.tar'}::2.mp4"))
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(VideoError, match="no readable zip or tar"):
        list_members(tmp_path / "text.zip")
    with pytest.raises(VideoError, match="compressed as a whole"):
        list_members(pack(tmp_path / "a.tgz", {"1.mp4": clip}))


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_archives_do_not_need_forking(monkeypatch):
    monkeypatch.delattr(os, "register_at_fork")  # as on Windows
    assert runpy.run_module("vidhub.datasets.archives")["list_members"]


def test_tables_of_contents_are_read_once_however_many_there_are(tmp_path, monkeypatch):
    paths = [pack(tmp_path / f"{i}.tar", {"a.cls": b"1"}) for i in range(300)]
    for path in paths:
        list_members(path)
    monkeypatch.delattr(archives.tarfile, "open")
    assert all(list_members(path) == ["a.cls"] for path in paths)


def test_shards(tmp_path, clip):
    first = {"x.mp4": clip, "x.json": b'{"label": "run"}', "y.mp4": clip, "y.txt": b"jump\n"}
    pack(tmp_path / "train-000.tar", first)
    pack(tmp_path / "train-001.tar", {"z.mp4": clip, "z.json": b'{"label": "jump"}'})
    data = create_dataset("webdataset", tmp_path, "train")
    assert data.classes == ("jump", "run")
    assert data.labels == [1, 0, 0]
    assert len(data[2][0]) == 8
    again = create_dataset("webdataset", tmp_path / "train-{000..001}.tar", "train")
    assert again.records == data.records
    pack(tmp_path / "val-0.tar", {"x.mp4": clip, "x.cls": b"0", "y.mp4": clip, "y.txt": b"run"})
    assert create_dataset("webdataset", tmp_path, "val").labels == [0, 1]
    pack(tmp_path / "other.tar", {"x.mp4": clip, "x.txt": b"fall"})  # of another data set
    alone = create_dataset("webdataset", tmp_path / "val-{0..0}.tar", "val")
    assert (alone.classes, alone.labels) == (("jump", "run"), [0, 1])
    pack(tmp_path / "test-0.tar", {"x.cls": b"3"})
    with pytest.raises(InputError, match="sample 'x' has no video"):
        create_dataset("webdataset", tmp_path, "test")


# ------------------------------------------------------------------------------------------------------------ tables


def test_csv_with_a_header(tmp_path):
    path = tmp_path / "videos.csv"
    path.write_text("video,class,split,start,end\na b.mp4,run,train,,\nc.mp4,jump,val,1.5,3\nd.mp4,jump,train,0,2\n")
    train, val = (create_dataset("csv", path, split) for split in ("train", "val"))
    assert train.classes == val.classes == ("jump", "run")
    assert [(r.path, r.label) for r in train.records] == [(str(tmp_path / "a b.mp4"), 1), (str(tmp_path / "d.mp4"), 0)]
    assert (val.records[0].start, val.records[0].end) == (1.5, 3)


def test_csv_files_by_split_number_their_classes_together(tmp_path):
    (tmp_path / "train.csv").write_text("a.mp4,run\n")
    (tmp_path / "val.csv").write_text("b.mp4,jump\n")
    assert create_dataset("csv", tmp_path, "train").labels == [1]
    assert create_dataset("csv", tmp_path, "val").labels == [0]
    (tmp_path / "classes.txt").write_text("run\njump\n")
    assert create_dataset("csv", tmp_path, "train").labels == [0]


def test_a_csv_file_as_root_numbers_its_classes_with_the_other_splits(tmp_path):
    (tmp_path / "train.csv").write_text("a.mp4,run\n")
    (tmp_path / "my_val.csv").write_text("b.mp4,jump\n")
    assert create_dataset("csv", tmp_path / "train.csv", "train").labels == [1]
    assert create_dataset("csv", tmp_path / "my_val.csv", "val").labels == [0]


@pytest.mark.parametrize("name", ["metadata", "test_times"])
def test_other_tables_in_the_folder_change_nothing(tmp_path, name):
    (tmp_path / "train.csv").write_text("path,label\na.mp4,2\nb.mp4,10\n")
    (tmp_path / f"{name}.csv").write_text("clip,duration\na,two\n")
    (tmp_path / "train.json").write_text(json.dumps([{"path": "a.mp4", "label": "x"}]))
    (tmp_path / f"{name}.json").write_text("{}")
    assert create_dataset("csv", tmp_path, "train").labels == [2, 10]
    assert create_dataset("json", tmp_path, "train").classes == ("x",)


def test_numbers_of_classes_may_be_written_as_pandas_does(tmp_path):
    (tmp_path / "train.csv").write_text("path,label\na.mp4,2.0\nb.mp4,10.0\nc.mp4,\n")
    data = create_dataset("csv", tmp_path, "train")
    assert (data.labels, data.classes) == ([2, 10, None], ())
    (tmp_path / "train.json").write_text('[{"path": "a.mp4", "label": NaN, "start": NaN, "end": 2}]')
    assert create_dataset("json", tmp_path, "train").records == [VideoRecord(str(tmp_path / "a.mp4"), end=2)]


def test_of_several_columns_of_a_kind_the_usual_name_counts(tmp_path):
    (tmp_path / "train.csv").write_text("path,name,label\na.mp4,Anna,0\n")
    assert create_dataset("csv", tmp_path, "train", folder="videos").records == [
        VideoRecord(str(tmp_path / "videos" / "a.mp4"), 0)
    ]


def test_no_split_is_all_of_a_file(tmp_path):
    (tmp_path / "v.csv").write_text("path,label,split\na.mp4,0,train\nb.mp4,1,val\n")
    assert create_dataset("csv", tmp_path / "v.csv", "").labels == [0, 1]


def test_several_labels_in_tables(tmp_path):
    (tmp_path / "train.csv").write_text("path,labels\na.mp4,run|jump\nb.mp4,\n")
    assert create_dataset("csv", tmp_path, "train", multi_label=True).labels == [(1, 0), ()]
    content = {"classes": ["x", "y", "z"], "videos": [{"path": "a.mp4", "label": ["z", 0]}]}
    (tmp_path / "train.json").write_text(json.dumps(content))
    data = create_dataset("json", tmp_path, "train", multi_label=True)
    assert data.labels == [(2, 0)]
    assert data.target(0).tolist() == [1, 0, 1]


def test_json_list(tmp_path):
    (tmp_path / "train.json").write_text(json.dumps([{"video": "a.mp4", "label": 2}, {"video": "b.mp4", "label": 0}]))
    data = create_dataset("json", tmp_path, "train")
    assert data.labels == [2, 0]
    assert data.classes == ()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("csv", "path,label\na.mp4\n", "line 2: expected 2 columns"),
        ("csv", "path,label,start\na.mp4,1,soon\n", "line 2: start and end must be seconds"),
        ("csv", "", "is empty"),
        ("csv", "path,label\na.mp4,0\nb.mp4,-1\n", "line 3: labels that are numbers must be whole and from 0, not '-"),
        ("csv", "path,label\na.mp4,0.5\n", "line 2: labels that are numbers must be whole and from 0, not '0.5'"),
        ("csv", "path,kind\na.mp4,run\n", "none of labels: call it 'label', or leave out kind"),
        ("json", "{}", "must hold a list"),
        ("json", '[{"label": 1}]', "entry 1: the path of the video is missing"),
        ("json", '{"classes": ["a"], "videos": [{"path": "v", "label": "b"}]}', "'b' is none of the 1 classes"),
        ("json", "[", "line 1: not valid JSON"),
        ("json", '[{"path": "v", "label": [0, 1]}]', "entry 1: 2 labels where one is expected"),
    ],
)
def test_wrong_tables_are_told(tmp_path, name, text, message):
    (tmp_path / f"train.{name}").write_text(text)
    with pytest.raises(InputError, match=message):
        create_dataset(name, tmp_path, "train")


def test_lists_by_name(tmp_path):
    (tmp_path / "train.txt").write_text("a.mp4 0\nb.mp4 1\n")
    (tmp_path / "classes.txt").write_text("x\ny\n")
    data = create_dataset("video_list", tmp_path, "train")
    assert data.classes == ("x", "y")
    assert data.records[1] == VideoRecord(str(tmp_path / "b.mp4"), 1)
    (tmp_path / "val.txt").write_text("folder 12 1\n")
    record = create_dataset("frame_list", tmp_path, "val", fps=12.5).records[0]
    assert (record.num_frames, record.fps) == (12, 12.5)
    with pytest.raises(UnknownNameError, match="video_list"):
        create_dataset("videolist", tmp_path, "train")
