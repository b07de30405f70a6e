"""Recognition data sets: one parse function for each format in which publishers state their labels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..weights.types import read_labels
from .annotation_files import read_csv, read_json, read_lines
from .info import DatasetInfo, Parsed
from .lists import VIDEO_SUFFIXES, read_tag_list, read_video_list
from .records import VideoRecord
from .video_io import IMAGE_SUFFIXES

# ------------------------------------------------------------------------------------------- what people have on disk


def find_file(root: Path, *names: str) -> Path:
    """The first of ``names`` that is in ``root`` or in its folder of annotations.

    Raises:
        InputError: none is there.
    """
    folders = [root, *(root / name for name in ("annotations", "splits", "labels"))]
    for name in names:
        for folder in folders:
            if (folder / name).is_file():
                return folder / name
    raise InputError(f"{root} holds no {' or '.join(names)}; vidhub data info NAME shows what is expected.")


def locate(folders: Iterable[Path], names: Iterable[str], suffix: str = ".mp4") -> dict[str, str]:
    """The path of each video or frame folder by its name, wherever it lies under the first of ``folders`` that exists.

    A folder is gone through once. Names without a file get the path where it should be.
    """
    folder = next((folder for folder in folders if folder.is_dir()), None)
    found = index_videos(folder) if folder else {}
    folder = folder or next(iter(folders))
    return {name: found.get(name, str(folder / f"{name}{suffix}")) for name in names}


def index_videos(folder: Path) -> dict[str, str]:
    """Videos by name without suffix, and folders that hold images by their name."""
    found = {}
    for here, _, files in os.walk(folder, followlinks=True):
        images = False
        for file in files:
            stem, suffix = os.path.splitext(file)
            if suffix.lower() in VIDEO_SUFFIXES:
                found[stem] = os.path.join(here, file)
            images = images or suffix.lower() in IMAGE_SUFFIXES
        if images:
            found[os.path.basename(here)] = here
    return found


def _class_number(where: str, name: str, index: dict[str, int]) -> int:
    key = _plain(name)
    if key not in index:
        raise InputError(f"{where}: {name!r} is none of the {len(index)} classes.")
    return index[key]


def _plain(name: str) -> str:
    """Names that differ in blanks, underscores, quotes and case are the same."""
    return re.sub(r"[\s_\"]+", " ", name).strip().lower()


def _numbered(classes: Iterable[str]) -> dict[str, int]:
    return {_plain(name): i for i, name in enumerate(classes)}


def _csv_rows(path: Path, fields: int, delimiter: str = ",") -> list[tuple[str, list[str]]]:
    """("file, line n", cells) of every row that is not empty.

    Raises:
        InputError: a row has fewer than ``fields`` cells.
    """
    rows = read_csv(path, delimiter)
    for number, row in rows:
        if len(row) < fields:
            raise InputError(f"{path}, line {number}: expected {fields} fields, not {delimiter.join(row)!r}.")
    return [(f"{path}, line {number}", row) for number, row in rows]


def _number(where: str, text: Any) -> int:
    try:
        return int(text)
    except (TypeError, ValueError):
        raise InputError(f"{where}: expected a whole number, not {text!r}.") from None


def _check_class(where: str, label: int, num_classes: int) -> None:
    if not 0 <= label < num_classes:
        raise InputError(f"{where}: label {label} is not from 0 to {num_classes - 1}.")


# ------------------------------------------------------------------------------------------------------------ formats


def parse_hmdb51(root: Path, split: str) -> Parsed:
    """HMDB51: ``CLASS_test_splitN.txt`` with lines "file flag": 1 is for training, 2 for testing, 0 for neither.

    Splits are "train1", "test1" ... "test3"; "train" and "test" are those of split 1.
    """
    part, number = _numbered_split(split)
    classes = read_labels("hmdb51")
    folders = [root, *(root / name for name in ("testTrainMulti_7030_splits", "annotations", "splits"))]
    folder = next((f for f in folders if (f / f"{classes[0]}_test_split{number}.txt").is_file()), None)
    if folder is None:
        raise InputError(f"{root} holds no {classes[0]}_test_split{number}.txt; unpack the splits of HMDB51 there.")
    flag = {"train": "1", "test": "2"}[part]
    records = []
    for label, name in enumerate(classes):
        path = folder / f"{name}_test_split{number}.txt"
        for line, text in read_lines(path):
            file, _, value = text.rpartition(" ")
            if value not in ("0", "1", "2") or not file:
                raise InputError(f"{path}, line {line}: expected 'file 0, 1 or 2', not {text!r}.")
            if value == flag:
                records.append(VideoRecord(str(_video_folder(root) / name / file.strip()), label))
    return Parsed(records, classes)


def parse_ucf101(root: Path, split: str) -> Parsed:
    """UCF101: ``trainlist01.txt`` with lines "Class/video.avi number", ``testlist01.txt`` without the number.

    The class is the folder's name, numbered as in ``classInd.txt``, from 0. Splits as in :func:`parse_hmdb51`.
    """
    part, number = _numbered_split(split)
    names = [f"{folder}{part}list{number:02d}.txt" for folder in ("", "ucfTrainTestlist/")]
    path = find_file(root, *names)
    classes = read_labels("ucf101")
    if (path.parent / "classInd.txt").is_file():
        classes = tuple(text.split()[-1] for _, text in read_lines(path.parent / "classInd.txt"))
    index = _numbered(classes)
    records = []
    for line, text in read_lines(path):
        file = text.split()[0]
        label = _class_number(f"{path}, line {line}", file.partition("/")[0], index)
        records.append(VideoRecord(str(_video_folder(root, "UCF-101") / file), label))
    return Parsed(records, classes)


def _numbered_split(split: str) -> tuple[str, int]:
    return (split[:-1], int(split[-1])) if split[-1].isdecimal() else (split, 1)


def _video_folder(root: Path, *names: str) -> Path:
    return next((root / name for name in ("videos", *names) if (root / name).is_dir()), root)


def parse_kinetics(root: Path, split: str, *, label_set: str) -> Parsed:
    """Kinetics: a CSV file ``label,youtube_id,time_start,time_end,split``; videos are ``ID_000010_000020.mp4``.

    Videos lie anywhere under ``videos_SPLIT``, ``SPLIT``, ``videos`` or the root, in class folders or not. Classes are
    in the order of the alphabet, as the checkpoints have them. Videos of the test split may have no label. Without the
    CSV file, MMAction2's list ``kineticsN_SPLIT_list_videos.txt`` is read.
    """
    classes = read_labels(label_set)
    index = _numbered(classes)
    names = (f"videos_{split}", split, f"rawframes_{split}", "videos", "rawframes")
    folders = [root / name for name in names]
    try:
        path = find_file(root, f"{split}.csv", f"kinetics_{split}.csv", f"{label_set}_{split}.csv", f"{split}list.csv")
    except InputError:
        listed = find_file(root, f"{split}.csv", f"kinetics_{split}.csv", f"{label_set}_{split}_list_videos.txt")
        records = read_video_list(listed, _first_folder(folders, root), num_classes=len(classes))
        return Parsed(records, classes)
    rows = _csv_rows(path, 4)
    header = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    if "youtube_id" not in header:
        raise InputError(f"{path}, line 1: expected the header 'label,youtube_id,time_start,time_end,split'.")
    columns = [
        header.index(name) if name in header else None for name in ("label", "youtube_id", "time_start", "time_end")
    ]
    found = []
    for where, row in rows[1:]:
        label, video, start, end = (row[i] if i is not None else "" for i in columns)
        name = _clip_name(where, video, start, end)
        found.append((name, video, _class_number(where, label, index) if label else None))
    folder = _first_folder(folders, root)
    present = index_videos(folder)
    if (root / "replacement").is_dir():  # of damaged videos, under the same names
        present |= index_videos(root / "replacement")
    records = []
    for name, video, label in found:  # some copies have names without times
        path = present.get(name) or present.get(video) or str(folder / f"{name}.mp4")
        records.append(VideoRecord(path, label))
    return Parsed(records, classes)


def _clip_name(where: str, video: str, *seconds: str) -> str:
    """Of a part of a video: "ID_000010_000020"; seconds may be written 10.0."""
    whole = (_number(where, float(t) if re.fullmatch(r"\s*\d+(\.\d*)?\s*", t) else t) for t in seconds)
    return "_".join([video, *(f"{number:06d}" for number in whole)])


def _first_folder(folders: Iterable[Path], default: Path) -> Path:
    return next((folder for folder in folders if folder.is_dir()), default)


def parse_numbered_folders(root: Path, split: str, *, prefix: str, label_set: str, folder: str) -> Parsed:
    """Something-Something V1 and Jester: ``PREFIX-train.csv`` with rows "id;class", frames in ``FOLDER/ID/00001.jpg``.

    Classes are those of ``PREFIX-labels.csv``, a name a line. Videos of the test split have no label.
    """
    name = {"val": "validation"}.get(split, split)
    path = find_file(root, f"{prefix}-{name}.csv")
    listed = path.with_name(f"{prefix}-labels.csv")
    classes = tuple(text.strip('"') for _, text in read_lines(listed)) if listed.is_file() else read_labels(label_set)
    index = _numbered(classes)
    frames = _first_folder([root / folder, root / "rawframes", root / "frames"], root / folder)
    records = []
    for where, row in _csv_rows(path, 1, ";"):
        label = _class_number(where, row[1], index) if len(row) > 1 and row[1] else None
        records.append(VideoRecord(str(frames / row[0]), label))
    return Parsed(records, classes)


def parse_sthv2(root: Path, split: str) -> Parsed:
    """Something-Something V2: a JSON list of {"id", "template"}, and {"template without brackets": "number"}.

    Videos are ``20bn-something-something-v2/ID.webm``. Those of the test split have no label.
    """
    name, prefix = {"val": "validation"}.get(split, split), "something-something-v2"
    path = find_file(root, f"{prefix}-{name}.json", f"{name}.json")
    label_file = find_file(root, f"{prefix}-labels.json", "labels.json")
    try:
        numbers = {name: int(number) for name, number in read_json(label_file).items()}
    except (AttributeError, TypeError, ValueError):
        raise InputError(f'{label_file} must hold an object {{"name": "number"}}.') from None
    classes = tuple(sorted(numbers, key=numbers.get))
    index = _numbered(classes)
    items = read_json(path)
    folders = [root / f"20bn-{prefix}", root / "videos", root / "rawframes", root]
    if not all(isinstance(item, dict) and "id" in item for item in items):
        raise InputError(f'{path} must hold a list of {{"id": ..., "template": ...}}.')
    paths = locate(folders, [str(item["id"]) for item in items], ".webm")
    records = []
    for item in items:
        template = str(item.get("template", "")).replace("[", "").replace("]", "")
        label = _class_number(f"{path}, video {item['id']}", template, index) if template else None
        records.append(VideoRecord(paths[str(item["id"])], label))
    return Parsed(records, classes)


def parse_diving48(root: Path, split: str) -> Parsed:
    """Diving48 (V2): ``Diving48_V2_train.json``, a list of {"vid_name", "label"}; videos in ``rgb`` or ``videos``."""
    path = find_file(root, f"Diving48_V2_{split}.json", f"Diving48_{split}.json")
    items = read_json(path)
    classes = read_labels("diving48")
    folders = [root / "rgb", root / "videos", root / "rawframes", root]
    try:
        names = [item["vid_name"] for item in items]
        labels = [int(item["label"]) for item in items]
    except (KeyError, TypeError, ValueError):
        raise InputError(f'{path} must hold a list of {{"vid_name": ..., "label": number}}.') from None
    for name, label in zip(names, labels, strict=True):
        _check_class(f"{path}, video {name!r}", label, len(classes))
    paths = locate(folders, names)
    return Parsed([VideoRecord(paths[name], label) for name, label in zip(names, labels, strict=True)], classes)


def parse_moments(root: Path, split: str, *, label_set: str, categories: str, multi_label: bool) -> Parsed:
    """Moments in Time (``class/file.mp4,class,agree,disagree``) and Multi-Moments in Time (``file.mp4,number,number``).

    Rows are in ``trainingSet.csv`` and ``validationSet.csv``, videos in ``training`` and ``validation`` or ``videos``.
    Classes are those of ``categories``, with lines "name,number".
    """
    name = {"train": "training", "val": "validation"}[split]
    path = find_file(root, f"{name}Set.csv", f"{name}Set.txt")
    classes = read_labels(label_set)
    if (path.parent / categories).is_file():
        pairs = [(_number(where, row[-1]), row[0]) for where, row in _csv_rows(path.parent / categories, 2)]
        classes = tuple(name for _, name in sorted(pairs))
    index = _numbered(classes)
    folder = _first_folder([root / name, root / "videos" / name, root / "videos"], root / name)
    records = []
    for where, row in _csv_rows(path, 2):
        if multi_label:
            label: Any = tuple(_number(where, cell) for cell in row[1:] if cell.strip())
            for value in label:
                _check_class(where, value, len(classes))
        else:
            label = _class_number(where, row[0].split("/")[0], index)
        records.append(VideoRecord(str(folder / row[0]), label))
    return Parsed(records, classes)


def parse_hvu(root: Path, split: str, *, categories: Iterable[str] | None = None) -> Parsed:
    """HVU: ``HVU_Train_V1.0.csv`` with rows "Tags,youtube_id,time_start,time_end", tags joined by |.

    Tags are numbered within their category in the order of the alphabet; a category without a tag counts as not
    annotated. Instead of the CSV file MMAction2's ``hvu_SPLIT_video.json`` or ``hvu_SPLIT.json`` may be there.

    Args:
        categories: some of action, attribute, concept, event, object and scene; None: all.
    """
    tags = [name.split("/", 1) for name in read_labels("hvu")]
    wanted = list(dict.fromkeys(category for category, _ in tags)) if categories is None else list(categories)
    sizes = {name: sum(category == name for category, _ in tags) for name in wanted}
    classes = tuple(f"{category}/{tag}" for name in wanted for category, tag in tags if category == name)
    folders = [root / f"videos_{split}", root / split, root / "videos", root]
    names = (f"HVU_{split.capitalize()}_V1.0.csv", f"hvu_{split}.csv", f"hvu_{split}_video.json", f"hvu_{split}.json")
    path = find_file(root, *names)
    if path.suffix == ".json":
        return Parsed(read_tag_list(path, _first_folder(folders, root), categories=wanted), classes, sizes)
    place: dict[str, list[tuple[str, int]]] = {}
    for name in wanted:
        for i, tag in enumerate(tag for category, tag in tags if category == name):
            place.setdefault(_plain(tag), []).append((name, i))
    rows = _csv_rows(path, 4)[1:]
    found = []
    for where, (text, video, start, end, *_) in rows:
        label: dict[str, tuple[int, ...]] = {}
        for tag in text.split("|"):
            for name, i in place.get(_plain(tag), ()):
                label[name] = (*label.get(name, ()), i)
        found.append((_clip_name(where, video, start, end), label))
    paths = locate(folders, [name for name, _ in found])
    return Parsed([VideoRecord(paths[name], label) for name, label in found], classes, sizes)


OMNISOURCE = ("kinetics", "google_images", "instagram_images", "instagram_videos", "raw_clips")


def parse_omnisource(root: Path, split: str, *, sources: Iterable[str] = OMNISOURCE) -> Parsed:
    """OmniSource's part for Mini-Kinetics: videos, images and clips of one label space, to be trained on together.

    Args:
        sources: which of ``kinetics`` (200 classes of Kinetics-400), ``google_images``, ``instagram_images``,
            ``instagram_videos`` and ``raw_clips`` (of untrimmed videos); for "val" there is only ``kinetics``.

    Lists are those after filtering and de-duplication. An image counts as a video of one frame.
    """
    lists = {
        "kinetics": (f"kinetics_200/k200_{split}.txt", f"kinetics_200_{split}"),
        "google_images": ("googleimage_200/tsn_8seg_googleimage_200_wodup.txt", "googleimage_200"),
        "instagram_images": ("insimage_200/tsn_8seg_insimage_200_wodup.txt", "insimage_200"),
        "instagram_videos": ("insvideo_200/slowonly_8x8_insvideo_200_wodup.txt", "insvideo_200"),
        "raw_clips": ("kinetics_raw_200/slowonly_8x8_kinetics_raw_200.json", "kinetics_raw_200_train"),
    }
    names = root / "annotations" / "k200_actions.txt"
    classes = tuple(text for _, text in read_lines(names)) if names.is_file() else ()
    records: list[VideoRecord] = []
    for source in ("kinetics",) if split == "val" else sources:
        if source not in lists:
            raise InputError(f"{source!r} is no source of OmniSource; these are: {', '.join(lists)}.")
        file, folder = lists[source]
        path = root / "annotations" / file
        if path.suffix == ".json":
            records += _raw_clips(path, root / folder)
        else:
            records += read_video_list(path, root / folder, num_classes=200)
    return Parsed(records, classes)


def _raw_clips(path: Path, folder: Path) -> list[VideoRecord]:
    """The clips ``part_N.mp4`` of untrimmed videos that show their class, as {"video_dir", "label", ...} lists them."""
    try:
        return [
            VideoRecord(str(folder / item["video_dir"] / f"part_{int(clip)}.mp4"), int(item["label"]))
            for item in read_json(path)
            for clip in item["positive_clip_inds"]
        ]
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f'{path} must hold a list of {{"video_dir": ..., "label": number, "positive_clip_inds": [numbers]}}.'
        ) from None


def parse_gym(root: Path, split: str, *, num_classes: int) -> Parsed:
    """FineGYM: ``gym99_train_element_v1.1.txt`` and ``gym99_val_element.txt``: "VIDEO_E_start_end_A_start_end number".

    Sub-actions cut out, ``subactions/NAME.mp4``, are taken where there is that folder; else parts of
    ``events/VIDEO_E_....mp4`` or of whole ``videos/VIDEO.mp4``, by the seconds in
    ``finegym_annotation_info_v1.x.json``, or else those in the name.
    """
    prefix = f"gym{num_classes}_{split}"
    path = find_file(
        root, *(f"{prefix}{end}.txt" for end in ("_element_v1.1", "_element_v1.0", "_element", "_org", ""))
    )
    classes = read_labels("gym99") if num_classes == 99 else ()
    annotations = sorted([*root.glob("finegym_annotation_info*.json"), *root.glob("annotations/*annotation*.json")])
    times = read_json(annotations[-1]) if annotations else {}
    records = []
    for line, text in read_lines(path):
        name, _, label = text.rpartition(" ")
        name = name.strip().removesuffix(".mp4")
        parts = re.fullmatch(r"(.+)_(E_(\d+)_(\d+))_(A_(\d+)_(\d+))", name)
        where = f"{path}, line {line}"
        if not parts:
            raise InputError(f"{where}: expected 'VIDEO_E_start_end_A_start_end number', not {text!r}.")
        number = _number(where, label)
        _check_class(where, number, num_classes)
        records.append(_gym_record(root, name, parts, times, number))
    return Parsed(records, classes)


def _gym_record(root: Path, name: str, parts: re.Match, times: dict[str, Any], label: int) -> VideoRecord:
    if (root / "subactions").is_dir():
        return VideoRecord(str(root / "subactions" / f"{name}.mp4"), label)
    video, event, first, _, action, start, end = parts.groups()
    segments = (times.get(video, {}).get(event) or {}).get("segments") or {}
    seconds = [s for pair in (segments.get(action) or {}).get("timestamps", ()) for s in pair]
    start, end = (min(seconds), max(seconds)) if seconds else (float(start), float(end))
    whole_event = root / "events" / f"{video}_{event}.mp4"
    if whole_event.exists():
        return VideoRecord(str(whole_event), label, start, end)
    return VideoRecord(str(root / "videos" / f"{video}.mp4"), label, float(first) + start, float(first) + end)


def parse_activitynet_clips(root: Path, split: str) -> Parsed:
    """ActivityNet 1.3 for recognition: every segment of ``activity_net.v1-3.json`` as a clip with one label."""
    from .localization import read_segments

    classes = read_labels("activitynet")
    index = _numbered(classes)
    path = find_file(root, "activity_net.v1-3.json", "activity_net.v1-3.min.json")
    videos = read_segments(path, subset={"train": "training", "val": "validation"}[split])
    names = [f"v_{video.video_id}" for video in videos]
    paths = locate([root / "videos", root / split, root], names)
    records = []
    for name, video in zip(names, videos, strict=True):
        base = VideoRecord(paths[name])
        for (start, end), label in zip(video.segments.tolist(), video.labels, strict=True):
            number = _class_number(f"{path}: video {video.video_id!r}", label, index)
            records.append(replace(base, label=number, start=start, end=end))
    return Parsed(records, classes)


# -------------------------------------------------------------------------------------------------------------- table

_UPLOADERS = "the videos belong to their uploaders"
_THREE_SPLITS = tuple(f"{part}{number}" for number in ("", 1, 2, 3) for part in ("train", "test"))


def _kinetics(number: int, counts: dict[str, int], paper: str, year: str = "") -> DatasetInfo:
    return DatasetInfo(
        name=f"kinetics{number}{year}",
        title=f"Kinetics-{number}{year.replace('_', '-')}",
        task="recognition",
        parse=parse_kinetics,
        splits=("train", "val", "test"),
        homepage="https://github.com/cvdfoundation/kinetics-dataset",
        license=f"annotations CC-BY-4.0; {_UPLOADERS}",
        layout="SPLIT.csv (also annotations/kinetics_SPLIT.csv): label,youtube_id,time_start,time_end,split\n"
        "videos_SPLIT/ or SPLIT/ or videos/: ID_000010_000020.mp4, in folders of classes or not",
        num_classes=number,
        paper=paper,
        counts=counts,
        options={"label_set": f"kinetics{number}"},
    )


def _gym(number: int) -> DatasetInfo:
    return DatasetInfo(
        name=f"gym{number}",
        title=f"FineGYM, {number} classes",
        task="recognition",
        parse=parse_gym,
        splits=("train", "val"),
        homepage="https://sdolivia.github.io/FineGym/",
        license=f"annotations CC-BY-NC-4.0; {_UPLOADERS}",
        layout=f"gym{number}_train_element_v1.1.txt, gym{number}_val_element.txt,\n"
        "finegym_annotation_info_v1.1.json, also in annotations/\n"
        "subactions/VIDEO_E_..._A_....mp4, or events/VIDEO_E_....mp4, or videos/VIDEO.mp4",
        num_classes=number,
        paper="https://arxiv.org/abs/2004.06704",
        options={"num_classes": number},
    )


DATASETS = (
    DatasetInfo(
        name="hmdb51",
        title="HMDB51",
        task="recognition",
        parse=parse_hmdb51,
        splits=_THREE_SPLITS,
        homepage="https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/",
        license="CC-BY-4.0",
        layout="testTrainMulti_7030_splits/CLASS_test_split1.txt ... (also annotations/, splits/ or the root)\n"
        "videos/CLASS/VIDEO.avi, or CLASS/VIDEO.avi",
        num_classes=51,
        paper="https://doi.org/10.1109/ICCV.2011.6126543",
        counts={f"{part}{n}": count for n in ("", 1, 2, 3) for part, count in (("train", 3570), ("test", 1530))},
    ),
    DatasetInfo(
        name="ucf101",
        title="UCF101",
        task="recognition",
        parse=parse_ucf101,
        splits=_THREE_SPLITS,
        homepage="https://www.crcv.ucf.edu/data/UCF101.php",
        license=f"for research; {_UPLOADERS}",
        layout="ucfTrainTestlist/classInd.txt, trainlist01.txt, testlist01.txt ... (also annotations/ or the root)\n"
        "videos/CLASS/VIDEO.avi, or UCF-101/CLASS/VIDEO.avi",
        num_classes=101,
        paper="https://arxiv.org/abs/1212.0402",
        counts={"train": 9537, "test": 3783, "train1": 9537, "test1": 3783, "train2": 9586, "test2": 3734}
        | {"train3": 9624, "test3": 3696},
    ),
    _kinetics(400, {"train": 246534, "val": 19906}, "https://arxiv.org/abs/1705.06950"),
    _kinetics(600, {"train": 392622, "val": 30001}, "https://arxiv.org/abs/1808.01340"),
    _kinetics(700, {"train": 545317, "val": 35000}, "https://arxiv.org/abs/1907.06987"),
    _kinetics(700, {}, "https://arxiv.org/abs/2010.10864", "_2020"),
    DatasetInfo(
        name="sthv1",
        title="Something-Something V1",
        task="recognition",
        parse=parse_numbered_folders,
        splits=("train", "val", "test"),
        homepage="https://20bn.com/datasets/something-something/v1",
        license="for research, after registration",
        layout="something-something-v1-{labels,train,validation,test}.csv, also in annotations/\n"
        "20bn-something-something-v1/ID/00001.jpg (also rawframes/)",
        num_classes=174,
        paper="https://arxiv.org/abs/1706.04261",
        counts={"train": 86017, "val": 11522, "test": 10960},
        options={"prefix": "something-something-v1", "label_set": "sthv1", "folder": "20bn-something-something-v1"},
    ),
    DatasetInfo(
        name="sthv2",
        title="Something-Something V2",
        task="recognition",
        parse=parse_sthv2,
        splits=("train", "val", "test"),
        homepage="https://www.qualcomm.com/developer/software/something-something-v-2-dataset",
        license="for research, after registration",
        layout="{labels,train,validation,test}.json (also something-something-v2-*.json, also in annotations/)\n"
        "20bn-something-something-v2/ID.webm (also videos/)",
        num_classes=174,
        paper="https://arxiv.org/abs/1706.04261",
        counts={"train": 168913, "val": 24777, "test": 27157},
    ),
    DatasetInfo(
        name="diving48",
        title="Diving48 V2",
        task="recognition",
        parse=parse_diving48,
        splits=("train", "test"),
        homepage="http://www.svcl.ucsd.edu/projects/resound/dataset.html",
        license=f"for research; {_UPLOADERS}",
        layout="Diving48_V2_train.json, Diving48_V2_test.json, also in annotations/\nrgb/VIDEO.mp4 (also videos/)",
        num_classes=48,
        paper="https://openaccess.thecvf.com/content_ECCV_2018/html/Yingwei_Li_RESOUND_Towards_Action_ECCV_2018_paper.html",
        counts={"train": 15027, "test": 1970},
    ),
    DatasetInfo(
        name="jester",
        title="Jester",
        task="recognition",
        parse=parse_numbered_folders,
        splits=("train", "val", "test"),
        homepage="https://www.qualcomm.com/developer/software/jester-dataset",
        license="for research, after registration",
        layout="jester-v1-{labels,train,validation,test}.csv, also in annotations/\n"
        "20bn-jester-v1/ID/00001.jpg (also rawframes/)",
        num_classes=27,
        paper="https://openaccess.thecvf.com/content_ICCVW_2019/html/HANDS/Materzynska_The_Jester_Dataset_A_Large-Scale_Video_Dataset_of_Human_Gestures_ICCVW_2019_paper.html",
        counts={"train": 118562, "val": 14787, "test": 14743},
        options={"prefix": "jester-v1", "label_set": "jester", "folder": "20bn-jester-v1"},
    ),
    DatasetInfo(
        name="mit",
        title="Moments in Time",
        task="recognition",
        parse=parse_moments,
        splits=("train", "val"),
        homepage="http://moments.csail.mit.edu",
        license="for research, after registration",
        layout="trainingSet.csv, validationSet.csv, moments_categories.txt, also in annotations/\n"
        "training/CLASS/VIDEO.mp4, validation/CLASS/VIDEO.mp4 (also in videos/)",
        num_classes=339,
        paper="https://arxiv.org/abs/1801.03150",
        counts={"train": 802264, "val": 33900},
        options={"label_set": "mit", "categories": "moments_categories.txt", "multi_label": False},
    ),
    DatasetInfo(
        name="mmit",
        title="Multi-Moments in Time",
        task="recognition",
        parse=parse_moments,
        splits=("train", "val"),
        homepage="http://moments.csail.mit.edu",
        license="for research, after registration",
        layout="trainingSet.csv, validationSet.csv, mmit_categories.txt, also in annotations/\n"
        "videos/FOLDER/VIDEO.mp4 (also training/, validation/)",
        num_classes=313,
        paper="https://arxiv.org/abs/1911.00232",
        options={"label_set": "mmit", "categories": "mmit_categories.txt", "multi_label": True},
    ),
    DatasetInfo(
        name="hvu",
        title="HVU, Holistic Video Understanding",
        task="recognition",
        parse=parse_hvu,
        splits=("train", "val"),
        homepage="https://github.com/holistic-video-understanding/HVU-Dataset",
        license=f"annotations for research; {_UPLOADERS}",
        layout="HVU_Train_V1.0.csv, HVU_Val_V1.0.csv, or MMAction2's hvu_SPLIT_video.json, also in annotations/\n"
        "videos_SPLIT/ID_000010_000020.mp4 (also videos/)",
        num_classes=3142,
        paper="https://arxiv.org/abs/1904.11451",
    ),
    DatasetInfo(
        name="omnisource",
        title="OmniSource for Mini-Kinetics",
        task="recognition",
        parse=parse_omnisource,
        splits=("train", "val"),
        homepage="https://github.com/open-mmlab/mmaction2/blob/main/tools/data/omnisource/README.md",
        license=f"for research, after registration; {_UPLOADERS}",
        layout="annotations/kinetics_200/k200_SPLIT.txt, annotations/googleimage_200/..., k200_actions.txt\n"
        "kinetics_200_SPLIT/, googleimage_200/, insimage_200/, insvideo_200/, kinetics_raw_200_train/",
        num_classes=200,
        paper="https://arxiv.org/abs/2003.13042",
        counts={"val": 4838},
    ),
    _gym(99),
    _gym(288),
    DatasetInfo(
        name="activitynet_clips",
        title="ActivityNet 1.3, each segment a clip",
        task="recognition",
        parse=parse_activitynet_clips,
        splits=("train", "val"),
        homepage="http://activity-net.org",
        license=f"annotations MIT; {_UPLOADERS}",
        layout="activity_net.v1-3.json, also in annotations/\nvideos/v_VIDEO.mp4",
        num_classes=200,
        paper="https://openaccess.thecvf.com/content_cvpr_2015/html/Heilbron_ActivityNet_A_Large-Scale_2015_CVPR_paper.html",
    ),
)
