"""Scores of action detectors on whole data sets: frame mAP, and video mAP of tubes."""

from __future__ import annotations

import io
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from .._files import write_whole
from ..datasets.boxes import BoxDataset, BoxSample, collate_boxes
from ..datasets.catalog import create_dataset
from ..datasets.records import BoxesRecord
from ..errors import InputError, VideoError, in_one_line
from ..metrics.ava import MMACTION2, Boxes, frame_map
from ..metrics.tubes import Tube, link_boxes, video_map
from ..models._factory import create_model
from ..transforms import functional as F
from .bank import FeatureBank
from .detection import FasterRCNN, PersonDetector, has_boxes, open_boxes, persons_in, score_clips
from .evaluate import ScoreStore, fingerprint
from .loading import unwrapped
from .predict import check_arguments, checked_batch_size, checked_dtype, pick_device
from .processes import gather_scores, join_processes, share_of

_MIN_SCORE = 0.002  # actions of a box that are less likely do not count as found
_WITH = {
    "annotated": "with annotated boxes, so that what a person detector misses or invents costs nothing",
    "proposals": "with the boxes of the proposals file",
    "detected": "with boxes that were detected",
}


@dataclass(frozen=True)
class BoxEvaluation:
    """Actions of the persons in the key frames of a data set, and what they are worth."""

    metrics: dict[str, float]  # in percent: mAP; of tubes also video mAP
    persons: str  # whose boxes these are: "annotated", "proposals" or "detected"
    rows: dict[int, np.ndarray]  # of each record, float32 (N, 4 + classes): corners as fractions, and probabilities
    failures: tuple[str, ...] = ()  # one sentence for each video that could not be read
    missed: int = 0  # key frames that could not be scored

    def __str__(self) -> str:
        scores = ", ".join(f"{name} {value:.4g} %" for name, value in self.metrics.items())
        return f"{len(self.rows)} key frames: {scores} ({_WITH[self.persons]})"


def evaluate_boxes(
    model: nn.Module | str,
    dataset: Dataset | str,
    root: str | Path | None = None,
    split: str = "val",
    *,
    detector: PersonDetector | bool | None = None,
    as_mmaction2: bool = False,
    bank: Callable[..., Tensor] | str | Path | None = None,
    out: str | Path | None = None,
    batch_size: int | None = None,
    workers: int = 2,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    progress: bool | None = None,
    **options: Any,
) -> BoxEvaluation:
    """Score every key frame of a data set with boxes; ``vidhub.evaluate`` calls this.

    Args:
        model: of ``create_model``, or a name whose published weights are loaded.
        dataset: a name with ``root`` and ``split``; or a data set.
        detector: finds the persons, see ``predict``; True: torchvision's Faster R-CNN. Key frames in which nobody is
            annotated then count too. None: the data set's proposals where it has some, else its annotated boxes.
        as_mmaction2: count as MMAction2's published scores do, see :func:`measure_boxes`, and take its clips.
        bank: the folder of a feature bank, or see ``BoxDataset``, for a network with a memory.
        out: folder for scores and metrics; a run that was interrupted goes on where it stopped.
        batch_size: clips that go through the network at once; None: 8, or 1 on a CPU, where that is fastest.
        workers, device, dtype, progress, options: see ``evaluate``.

    Raises:
        InputError: model and data set do not fit together, or ``out`` holds other scores.
        VideoError: no video at all could be read.
    """
    dtype, device = checked_dtype(dtype), pick_device(device, model)
    rank, world_size, device = join_processes(device)
    if isinstance(dataset, str):
        options = {"all_frames": True, **options} if detector else options
        dataset = create_dataset(dataset, root or "", split, **options)
    else:
        check_arguments(evaluate_boxes, options)
    if not has_boxes(dataset):
        raise InputError("the data set is empty: there is no key frame with boxes in this split.")
    model = create_model(model, pretrained=True) if isinstance(model, str) else model
    bank = FeatureBank(bank) if isinstance(bank, (str, Path)) else bank
    offset = dataset.protocol.mmaction2_offset if as_mmaction2 and getattr(dataset, "protocol", None) else 0
    data = copy(open_boxes(dataset, model, bank=bank))
    data.training, data.offset, data.pictures = False, data.offset + offset, bool(detector)
    if model.data_config.background != (data.classes[:1] == ("background",)):
        raise InputError(
            f"the network's first class is {'none' if model.data_config.background else 'an action'}, and the data "
            f"set's is {data.classes[0]!r}: train it on data of these classes."
        )
    _check_names(tuple(getattr(model, "labels", None) or ()), data.classes)
    model.to(device)
    batch_size = checked_batch_size(batch_size, device)
    detector = FasterRCNN(device=device) if detector is True else detector or None
    persons = "detected" if detector else "annotated" if data.records[0].proposals is None else "proposals"

    store = None
    if out:
        how = {
            "persons": persons,
            "detector": type(detector).__name__,
            "offset": offset,
            "bank": str(getattr(bank, "folder", "")),
        }
        store = ScoreStore(Path(out), fingerprint(model, data, how, dtype), rank)
    done = store.read() if store else {}
    if world_size > 1:
        torch.distributed.barrier()  # all have read the same before anyone writes more
    todo = [i for i in range(len(data)) if i not in done][rank::world_size]
    show = rank == 0 and (sys.stderr.isatty() if progress is None else progress)
    scored = score_records(model, data, todo, detector=detector, batch_size=batch_size, dtype=dtype, workers=workers)
    for index, rows in tqdm(scored, total=len(todo), unit="frame", disable=not show):
        done[index] = rows
        if store:
            store.add(index, rows)
    if store:
        store.flush()
    result = collect_boxes(data, gather_scores(done, world_size), persons, as_mmaction2=as_mmaction2)
    if store and rank == 0:
        _write_results(result, data, store.folder)
    return result


def _check_names(ours: tuple[str, ...], theirs: tuple[str, ...]) -> None:
    if len(ours) != len(theirs):  # not all are named
        return
    for i, (mine, its) in enumerate(zip(ours, theirs, strict=True)):
        if its not in (mine, f"class {i}"):
            raise InputError(f"class {i} is {mine!r} in the model and {its!r} in the data set: train it on these.")


def box_validation(
    data: BoxDataset, *, batch_size: int = 8, dtype: torch.dtype | None = None, workers: int = 0
) -> Callable[[nn.Module], dict[str, float]]:
    """``validate(model)`` of ``train``: on annotated boxes, or proposals where the data set has some."""

    def validate(model: nn.Module) -> dict[str, float]:
        settings = {"batch_size": batch_size, "dtype": dtype, "workers": workers}
        share, world_size = share_of(len(data))
        result = collect_boxes(data, gather_scores(dict(score_records(model, data, share, **settings)), world_size))
        for failure in result.failures if share[0] == 0 else ():
            tqdm.write(f"not scored: {failure}", file=sys.stderr)
        return result.metrics

    return validate


def score_records(
    model: nn.Module,
    data: BoxDataset,
    indices: Sequence[int],
    *,
    detector: PersonDetector | None = None,
    batch_size: int = 8,
    dtype: torch.dtype | None = None,
    workers: int = 0,
) -> Iterator[tuple[int, np.ndarray | str]]:
    """(index, float32 (N, 4 + classes)) of these records in turn, corners as fractions of the picture and
    probabilities; or the reason why one cannot be scored."""
    loader = DataLoader(
        _Samples(data, indices),
        batch_size=None,
        num_workers=min(workers, len(indices)),
        generator=torch.Generator(),  # leaves the global one alone, on which training goes on
    )
    for group in _of_one_shape(unwrapped(loader), batch_size):
        samples = []
        for index, sample in group:
            if isinstance(sample, str):
                yield index, sample
                continue
            boxes = sample.boxes
            if detector is not None:
                found = persons_in(sample.picture, detector)
                (height, width), (h, w) = sample.clip.shape[-2:], sample.picture.shape[-2:]
                boxes = F.scale_points(found, (width / w, height / h))
            if len(boxes):
                samples.append(sample._replace(index=index, boxes=boxes))
            else:
                yield index, np.zeros((0, 4 + data.num_classes), np.float32)
        if not samples:
            continue
        batch = collate_boxes(samples)
        scores = score_clips(model, batch["clips"], batch["boxes"], batch["bank"], dtype=dtype)
        size = samples[0].clip.shape[-2:]
        for sample, part in zip(samples, scores.split([len(s.boxes) for s in samples]), strict=True):
            yield sample.index, torch.cat((F.original_boxes(sample.boxes, size), part), 1).numpy()


class _Samples(Dataset):
    """(index, sample or the reason why there is none)."""

    def __init__(self, data: BoxDataset, indices: Sequence[int]):
        self.data, self.indices = data, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[int, BoxSample | str]:
        index = self.indices[position]
        try:
            return index, self.data[index]
        except (VideoError, OSError) as error:
            return index, in_one_line(error)


def _of_one_shape(
    samples: Iterable[tuple[int, BoxSample | str]], count: int
) -> Iterator[list[tuple[int, BoxSample | str]]]:
    """Up to ``count`` samples at a time that make a batch without padding, which some networks would see."""
    for _, run in groupby(samples, key=lambda item: getattr(getattr(item[1], "clip", None), "shape", None)):
        group = []
        for item in run:
            group.append(item)
            if len(group) == count:
                yield group
                group = []
        if group:
            yield group


def collect_boxes(
    data: BoxDataset, done: dict[int, np.ndarray | str], persons: str = "annotated", *, as_mmaction2: bool = False
) -> BoxEvaluation:
    """The rows of ``score_records`` by index, as a ``BoxEvaluation``; what could not be read does not count.

    Raises:
        VideoError: there are none.
    """
    rows = {i: done[i] for i in sorted(done) if not isinstance(done[i], str)}
    failures = tuple(dict.fromkeys(done[i] for i in sorted(done) if isinstance(done[i], str)))
    if not rows:
        raise VideoError(f"no video of the data set could be read, the first one: {(*failures, 'it is empty')[0]}")
    metrics = measure_boxes(data, rows, as_mmaction2=as_mmaction2)
    return BoxEvaluation(metrics, persons, rows, failures, len(done) - len(rows))


def measure_boxes(data: BoxDataset, rows: dict[int, np.ndarray], *, as_mmaction2: bool = False) -> dict[str, float]:
    """Frame mAP in percent, and of tubes their video mAP at IoU 0.2 and 0.5, of the classes that the publisher counts.

    Args:
        rows: of each record that counts, float32 (N, 4 + classes): corners as fractions, and probabilities.
        as_mmaction2: count as ``metrics.ava.MMACTION2``; where a box has one class, each box has its likeliest alone.
    """
    single = data.config.activation == "softmax"
    first = int(data.config.background)
    numbers = np.repeat(np.array(list(rows), np.int64), [len(part) for part in rows.values()])
    table = np.concatenate(list(rows.values())).astype(np.float64)
    boxes, scores = table[:, :4], table[:, 4:]
    likely = scores > _MIN_SCORE
    likely[:, :first] = False
    if as_mmaction2 and single:
        likely = np.zeros_like(likely)
        likely[np.arange(len(scores)), first + scores[:, first:].argmax(1)] = True
    box, label = np.nonzero(likely)
    found = Boxes(numbers[box].tolist(), boxes[box], label, scores[box, label])
    excluded = range(-len(data.protocol.excluded), 0)
    frames = [*((i, data.records[i]) for i in rows), *zip(excluded, data.protocol.excluded, strict=True)]
    counting = MMACTION2 if as_mmaction2 and not single else {}
    classes = data.protocol.classes
    overall = frame_map(found, _truth(frames), classes=classes, excluded=excluded, **counting).overall
    result = {"mAP": 100 * overall}
    scored = [data.records[i] for i in rows]
    if any(record.entity_ids for record in scored) and all(record.in_frames for record in scored):
        tubes, actual = (
            [tube for tube in tubes if classes is None or tube.label in classes]
            for tubes in (_linked(found, data.records), _annotated_tubes(scored))
        )
        result |= {f"video mAP@{iou}": 100 * video_map(tubes, actual, iou=iou) for iou in (0.2, 0.5)}
    return result


def _truth(frames: Iterable[tuple[int, BoxesRecord]]) -> Boxes:
    """The annotated boxes of these frames, a row for each class of each."""
    rows = [
        (number, *box, label)
        for number, record in frames
        for box, known in zip(np.asarray(record.boxes, np.float64).tolist(), record.labels, strict=True)
        for label in known
    ]
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Boxes([row[0] for row in rows], table[:, 1:5], table[:, 5].astype(np.int64))


def _linked(found: Boxes, records: Sequence[BoxesRecord]) -> list[Tube]:
    of_tubes = defaultdict(list)
    for row, (i, label) in enumerate(zip(found.frames, found.classes.tolist(), strict=True)):
        of_tubes[records[i].video_id, label].append(row)
    frames = np.array([records[i].timestamp for i in found.frames], np.int64)
    tubes = []
    for (video, label), rows in of_tubes.items():
        tubes += link_boxes(video, label, frames[rows], found.boxes[rows], found.scores[rows])
    return tubes


def _annotated_tubes(records: Sequence[BoxesRecord]) -> list[Tube]:
    of_tubes = defaultdict(list)
    for record in sorted(records, key=lambda record: record.timestamp):
        for box, labels, who in zip(record.boxes, record.labels, record.entity_ids, strict=True):
            for label in labels:
                of_tubes[record.video_id, label, who].append((int(record.timestamp), box))
    return [
        Tube(video, label, np.array([frame for frame, _ in part]), np.array([box for _, box in part]))
        for (video, label, _), part in of_tubes.items()
    ]


def _write_results(result: BoxEvaluation, data: BoxDataset, folder: Path) -> None:
    """``metrics.json``, ``failures.txt``, and ``boxes.npz`` with a row for each box."""
    records = np.repeat(list(result.rows), [len(part) for part in result.rows.values()])
    table, file = np.concatenate(list(result.rows.values())), io.BytesIO()
    np.savez(
        file,
        videos=[data.records[i].video_id for i in records],
        times=[data.records[i].timestamp for i in records],
        boxes=table[:, :4],
        scores=table[:, 4:],
        classes=data.classes,
    )
    write_whole(folder / "boxes.npz", file.getvalue())
    about = {"persons": result.persons, "key_frames": len(result.rows), "not_scored": result.missed}
    write_whole(folder / "metrics.json", json.dumps(about | result.metrics, indent=2) + "\n")
    write_whole(folder / "failures.txt", "".join(f"{text}\n" for text in result.failures))
