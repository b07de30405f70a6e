"""Proposals of SSN: files of them, which are taken for positive, incomplete and background, and data sets of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..weights.types import read_labels
from .annotation_files import read_lines
from .info import DatasetInfo, Parsed


@dataclass(frozen=True)
class ProposalVideo:
    """A video with its true segments and with proposals; labels are from 1 on, 0 is background."""

    video_id: str
    num_frames: int
    truth: np.ndarray  # (N, 3): label, first frame, frame after the last
    proposals: np.ndarray  # (M, 5): label, best IoU, share of it inside the true segment, first frame, frame after last
    path: str = ""  # of the video file, or folder of frame or flow images

    @property
    def fractions(self) -> np.ndarray:
        """Start and end of each proposal as fractions of the video, (M, 2); without any proposal one of it all."""
        if not len(self.proposals):
            return np.array([[0.0, (self.num_frames - 1) / self.num_frames]])
        return self.proposals[:, 3:] / self.num_frames


@dataclass(frozen=True)
class TrainingProposals:
    """The proposals of a video that SSN learns from, with rows as in ``ProposalVideo.proposals``."""

    positive: np.ndarray  # true segments last
    incomplete: np.ndarray
    background: np.ndarray
    targets: np.ndarray  # (positive, 2): change of the centre in lengths, log of that of the length
    num_found: int  # positive ones that are no true segments


def read_proposals(path: str | Path) -> list[ProposalVideo]:
    """The videos of a proposal file of SSN.

    Raises:
        InputError: the file is missing or malformed; with the line.
    """
    lines = list(read_lines(path))
    videos, place = [], 0

    def take(columns: int) -> list[str]:
        nonlocal place
        number, line = lines[place] if place < len(lines) else (len(lines) + 1, "the end")
        place += 1
        if len(line.split()) != columns:
            raise InputError(f"{path}, line {number}: expected {columns} values, not {line!r}.")
        return line.split()

    def table(columns: int) -> np.ndarray:
        rows = [take(columns) for _ in range(int(take(1)[0]))]
        return np.array(rows, np.float64).reshape(-1, columns)

    try:
        while place < len(lines):
            if not lines[place][1].startswith("#"):
                raise InputError(f"{path}, line {lines[place][0]}: expected '# NUMBER', not {lines[place][1]!r}.")
            place += 1
            video_id = take(1)[0]
            num_frames = int(float(take(1)[0]) * float(take(1)[0]))
            videos.append(ProposalVideo(video_id, num_frames, table(3), table(5)))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}, line {lines[place - 1][0]}: expected numbers ({error}).") from None
    return videos


def denormalize_proposals(path: str | Path, num_frames: Mapping[str, int]) -> str:
    """A proposal file whose times are fractions, with frames in their place: the text of the new file.

    Args:
        num_frames: of each video.
    """
    lines = []
    for i, video in enumerate(read_proposals(path)):
        frames = num_frames[video.video_id]
        truth = [f"{label:.0f} {int(s * frames)} {int(e * frames)}" for label, s, e in video.truth]
        proposals = [
            f"{label:.0f} {iou:.4f} {own:.4f} {int(s * frames)} {int(e * frames)}"
            for label, iou, own, s, e in video.proposals
        ]
        lines += [f"# {i}", video.video_id, str(frames), "1", str(len(truth)), *truth, str(len(proposals)), *proposals]
    return "\n".join(lines) + "\n"


def usable(videos: list[ProposalVideo]) -> list[ProposalVideo]:
    """Without segments that are empty or begin after the end, and without videos that then have no true one.

    Ends after the last frame are moved there.
    """
    kept = []
    for video in videos:
        truth, proposals = (_inside(rows, video.num_frames) for rows in (video.truth, video.proposals))
        if len(truth):
            kept.append(replace(video, truth=truth, proposals=proposals))
    return kept


def _inside(rows: np.ndarray, num_frames: int) -> np.ndarray:
    rows = rows[(rows[:, -1] > rows[:, -2]) & (rows[:, -2] < num_frames)].copy()
    rows[:, -1] = rows[:, -1].clip(max=num_frames)
    return rows


def training_proposals(
    video: ProposalVideo,
    *,
    positive_iou: float = 0.7,
    incomplete_iou: float = 0.3,
    incomplete_overlap: float = 0.01,
    background_iou: float = 0.01,
    background_coverage: float = 0.02,
    add_truth: bool = True,
) -> TrainingProposals:
    """Which proposals of a video are positive, incomplete and background; the true segments are positive too.

    Args:
        incomplete_overlap: share of a proposal that must be inside a true segment for it to be incomplete.
        background_coverage: share of the video that background must cover, counted before its end was moved.
    """
    unclipped = video.proposals[(video.proposals[:, 4] > video.proposals[:, 3])]
    rows = _inside(unclipped, video.num_frames)
    coverage = (unclipped[unclipped[:, 3] < video.num_frames] @ [0, 0, 0, -1, 1]) / video.num_frames
    iou, own = rows[:, 1], rows[:, 2]
    incomplete = (iou < incomplete_iou) & (own > incomplete_overlap)
    background = ~incomplete & (iou < background_iou) & (coverage > background_coverage)
    truth = _inside(video.truth, video.num_frames)
    added = np.insert(truth, [1, 1], [1.0, 0.0], axis=1) if add_truth else np.zeros((0, 5))
    found = rows[iou > positive_iou]
    positive = np.concatenate((found, added))
    targets = regression_targets(positive[:, 3:], truth[:, 1:])
    return TrainingProposals(positive, rows[incomplete], rows[background], targets, len(found))


def regression_targets(segments: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What moves each (N, 2) segment of frames to the true one that it overlaps most: (N, 2).

    Columns: change of the centre in lengths, and log of the change of the length.
    """
    start, end = segments[:, None, 0], segments[:, None, 1]
    common = (np.minimum(end, truth[:, 1]) - np.maximum(start, truth[:, 0])).clip(min=0)
    iou = common / (end - start + truth[:, 1] - truth[:, 0] - common)
    best = truth[iou.argmax(1)] if len(segments) else np.zeros((0, 2))
    length, wanted = segments[:, 1] - segments[:, 0], best[:, 1] - best[:, 0]
    return np.stack(((best.sum(1) - segments.sum(1)) / 2 / length, np.log(wanted / length)), 1)


def target_statistics(videos: list[TrainingProposals]) -> np.ndarray:
    """Mean and standard deviation of the targets, (2, 2), by which they are normalised; true segments do not count.

    Where no proposal is positive they are 0 and 1.
    """
    targets = np.concatenate([video.targets[: video.num_found] for video in videos])
    if not len(targets):
        return np.array([[0.0, 0.0], [1.0, 1.0]])
    return np.stack((targets.mean(0), targets.std(0)))


# ----------------------------------------------------------------------------------------------------------- data sets


def parse_proposals(
    root: Path,
    split: str,
    *,
    annotation: str = "proposals_{split}.txt",
    label_set: str = "",
    folder: str = "videos",
    file_name: str = "{}.mp4",
) -> Parsed:
    """The file ``annotation`` under ``root`` ("{split}" is filled in): the videos with true segments, and the classes.

    Args:
        label_set: the class names; "": those of ``classes.txt``, a name a line, or the numbers.
        file_name: of a video in ``folder``, with {} for its id; "{}" for folders of frame or flow images.

    Raises:
        InputError: the file is missing or malformed, holds fractions of videos, or a class that has no name.
    """
    path = root / annotation.format(split=split)
    videos = read_proposals(path)
    kept = {video.video_id for video in usable(videos)}
    if not kept:
        raise InputError(f"{path} has no video with a true segment.")
    if max(video.truth[:, 2].max() for video in videos if video.video_id in kept) <= 1:
        raise InputError(f"{path} holds fractions: make frames of them with datasets.proposals.denormalize_proposals.")
    largest = int(max(rows[:, 0].max() for v in videos for rows in (v.truth, v.proposals) if len(rows)))
    names = root / "classes.txt"
    if label_set:
        classes = read_labels(label_set)
    elif names.is_file():
        classes = tuple(line.strip() for _, line in read_lines(names))
    else:
        classes = tuple(str(number) for number in range(1, largest + 1))
    if largest > len(classes):
        raise InputError(f"{path} has the class {largest}, but there are {len(classes)} class names.")
    records = [replace(v, path=str(root / folder / file_name.format(v.video_id))) for v in videos]
    return Parsed([record for record in records if record.video_id in kept], classes)


DATASETS = (
    DatasetInfo(
        name="proposals",
        title="Proposals of one's own",
        task="localization",
        parse=parse_proposals,
        splits=("train", "val", "test"),
        homepage="",
        license="",
        num_classes=0,
        layout="proposals_{split}.txt: in the format of SSN\nclasses.txt: a name a line, optional\nvideos/VIDEO.mp4",
    ),
    DatasetInfo(
        name="thumos14_proposals",
        title="THUMOS14 with proposals",
        task="localization",
        parse=parse_proposals,
        splits=("val", "test"),
        homepage="https://www.crcv.ucf.edu/THUMOS14/",
        license="for research; the videos belong to the uploaders",
        layout="thumos14_tag_{split}_proposal_list.txt: SSN's proposals, in frames\nvideos/VIDEO.mp4",
        num_classes=20,
        paper="https://arxiv.org/abs/1704.06228",
        options={"annotation": "thumos14_tag_{split}_proposal_list.txt", "label_set": "thumos14"},
    ),
)
