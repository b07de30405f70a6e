"""Scores of a network on a whole data set: measured, saved, resumed, compared and fused."""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from .._files import write_whole
from ..datasets.archives import SEPARATOR
from ..datasets.catalog import create_dataset, dataset_info
from ..datasets.dataset import VideoDataset
from ..datasets.records import VideoRecord
from ..errors import InputError, VideoError, VidhubError, in_one_line
from ..metrics import classification as metrics
from ..models._factory import create_model
from ..transforms.factory import create_transform
from ..weights.files import weights_digest
from .detection import has_boxes
from .loading import unwrapped
from .localization import has_segments, measure_localizer
from .predict import check_arguments, check_counts, checked_batch_size, checked_dtype, pick_device
from .processes import gather_scores, join_processes
from .report import WorstClip, write_report
from .scoring import group_views, score_videos

_SAVE_EVERY = 50  # videos


@dataclass(frozen=True)
class Evaluation:
    """Scores of the videos of a data set, and what they are worth."""

    scores: np.ndarray  # float32 (videos, classes): probabilities
    targets: np.ndarray  # int64 (videos,), or float32 (videos, classes) of zeros, ones, and NaN where not annotated
    names: tuple[str, ...]  # of the videos
    classes: tuple[str, ...] = ()
    categories: dict[str, int] = field(default_factory=dict)
    failures: tuple[str, ...] = ()  # one sentence for each video that could not be read; they have no scores

    @property
    def metrics(self) -> dict[str, float]:
        """In percent: top1, top5 and mean_class; for several labels mAP and mmit_mAP; for tags by category its mAP."""
        return measure(self.scores, self.targets, self.categories)

    @property
    def confusion(self) -> np.ndarray | None:
        """How often each class (row) was taken for each (column): int64 (classes, classes).

        None for several labels, and where no video has one. Videos without a label do not count.
        """
        if self.targets.ndim > 1 or not (known := self.targets >= 0).any():
            return None
        found, expected = self.scores[known].argmax(1), self.targets[known]
        return metrics.confusion_matrix(found, expected, num_classes=self.scores.shape[1])

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` file that :func:`load_evaluation` reads; it appears whole or not at all."""
        about = {"classes": self.classes, "categories": self.categories, "failures": self.failures}
        file = io.BytesIO()
        np.savez(file, scores=self.scores, targets=self.targets, names=list(self.names), about=json.dumps(about))
        write_whole(path, file.getvalue())


def load_evaluation(path: str | Path) -> Evaluation:
    """What ``Evaluation.save`` wrote; ``path`` may also be the folder with ``scores.npz`` in it.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    path = Path(path)
    path = path / "scores.npz" if path.is_dir() else path
    try:
        with np.load(path) as file:
            about = json.loads(str(file["about"]))
            names = tuple(file["names"].tolist())
            return Evaluation(
                file["scores"],
                file["targets"],
                names,
                tuple(about["classes"]),
                about["categories"],
                tuple(about["failures"]),
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{str(path)!r} holds no scores of vidhub eval ({error}).") from error


def evaluate(
    model: nn.Module | str,
    dataset: Dataset | str,
    root: str | Path | None = None,
    split: str | None = None,
    *,
    views: int | Literal["one", "test"] | tuple[int, int] = "test",
    out: str | Path | None = None,
    match_labels: bool = False,
    batch_size: int | None = None,
    workers: int = 2,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    progress: bool | None = None,
    detector: Callable[[Tensor], Any] | bool | None = None,
    as_mmaction2: bool = False,
    bank: Any = None,
    **options: Any,
) -> Any:
    """Score every video of a data set, as the published test does.

    Started by ``torchrun`` or ``accelerate launch``, the processes share the videos, and all of them get the result.

    Args:
        model: of ``create_model``, or a name whose published weights are loaded.
        dataset: a name of ``vidhub data list`` with ``root`` and ``split``; or a data set.
        split: None: "val", or "test" where there is no other.
        views: "test" for the protocol of the published score (clips x crops); see ``create_transform``.
        out: folder for scores, metrics and a report. Scores are written as they are made: a run that was interrupted
            goes on where it stopped.
        match_labels: where model and data set name the same classes in another order, or the data set has only some of
            the model's, bring the scores into the data set's order; otherwise that is an error.
        batch_size: views that go through the network at once; None: 8, or 1 on a CPU, where that is fastest.
        workers: processes that decode; 0: none.
        device, dtype: see ``predict``.
        detector, as_mmaction2, bank: of data sets with boxes, see ``engine.box_scores.evaluate_boxes``.
        options: of ``create_dataset``.

    Returns:
        An ``Evaluation``; of data sets with boxes a ``BoxEvaluation``; of those with segments the metrics alone, see
        ``localization.measure_localizer``.

    Raises:
        InputError: classes of model and data set do not match; ``out`` holds scores of another model, data set or
            protocol; an argument of the wrong kind.
        VideoError: no video at all could be read.
    """
    check_counts(at_least=0, workers=workers)
    info = dataset_info(dataset) if isinstance(dataset, str) else None
    split = split or (info.measured_split if info else "val")
    with_boxes = {"detector": detector, "as_mmaction2": as_mmaction2, "bank": bank}
    if info.task == "detection" if info else has_boxes(dataset):
        from .box_scores import evaluate_boxes

        if views != "test" or match_labels:
            raise InputError("views and match_labels are not for data sets with boxes: leave them out.")
        settings = {"out": out, "batch_size": batch_size, "workers": workers, "progress": progress}
        return evaluate_boxes(
            model, dataset, root, split, device=device, dtype=dtype, **settings, **with_boxes, **options
        )
    if given := [name for name, value in with_boxes.items() if value]:
        raise InputError(f"{' and '.join(given)} only for data sets with boxes: leave it out.")
    dtype = checked_dtype(dtype)
    if has_segments(dataset):
        useless = {"views": views != "test", "match_labels": match_labels, "dtype": dtype, "batch_size": batch_size}
        for name, given in useless.items():
            if given:
                raise InputError(f"{name} is of no use on a data set of segments: leave it out.")
        return measure_localizer(model, dataset, root or "", split, device, out=out, **options)
    device = pick_device(device, model)
    rank, world_size, device = join_processes(device)
    if not isinstance(model, nn.Module):
        model = create_model(model, pretrained=True)
    if isinstance(dataset, str):
        dataset = create_dataset(dataset, root or "", split, **options)
    else:
        check_arguments(evaluate, options)
    columns = label_columns(model, dataset, match_labels)
    data = dataset.with_transform(create_transform(model.data_config, views=views))
    model.to(device)
    batch_size = checked_batch_size(batch_size, device)

    store = ScoreStore(Path(out), fingerprint(model, data, views, dtype), rank) if out else None
    done = store.read() if store else {}
    if world_size > 1:
        torch.distributed.barrier()  # all have read the same before anyone writes more
    todo = [i for i in range(len(data)) if i not in done][rank::world_size]
    show = rank == 0 and (sys.stderr.isatty() if progress is None else progress)
    for index, scores in tqdm(
        score_dataset(model, data, todo, batch_size=batch_size, dtype=dtype, workers=workers),
        total=len(todo),
        unit="video",
        disable=not show,
    ):
        done[index] = scores
        if store:
            store.add(index, scores)
    if store:
        store.flush()
    done = gather_scores(done, world_size)
    result = collect(data, done, columns)
    if store and rank == 0:
        result.save(store.folder / "scores.npz")
        _write_results(result, store.folder, data, model, views)
    return result


def score_dataset(
    model: nn.Module,
    data: VideoDataset,
    indices: Sequence[int],
    *,
    batch_size: int = 8,
    dtype: torch.dtype | None = None,
    workers: int = 0,
) -> Iterator[tuple[int, np.ndarray | str]]:
    """(index, probabilities float32 (classes,)) of these videos in turn; or the reason why one cannot be read."""
    loader = DataLoader(
        _Views(data, indices),
        batch_size=None,
        num_workers=min(workers, len(indices)),
        prefetch_factor=1 if workers and indices else None,  # the views of one video may take gigabytes
        generator=torch.Generator(),  # leaves the global one alone, on which training goes on
    )
    for group in group_views(unwrapped(loader), batch_size):
        readable = [views for _, views in group if isinstance(views, Tensor)]
        scores = iter(score_videos(model, readable, dtype, batch_size))
        for index, views in group:
            yield index, next(scores).numpy() if isinstance(views, Tensor) else views


class _Views(Dataset):
    """(index, views (V, C, T, H, W) or the reason why there are none)."""

    def __init__(self, data: VideoDataset, indices: Sequence[int]):
        self.data = data
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[int, Tensor | str]:
        index = self.indices[position]
        try:
            return index, self.data[index][0]
        except (VideoError, OSError) as error:
            return index, in_one_line(error)


def collect(data: VideoDataset, done: dict[int, np.ndarray | str], columns: list[int] | None = None) -> Evaluation:
    """The scores of a data set by index, as an ``Evaluation``.

    Raises:
        VideoError: there are none.
    """
    readable = [i for i in sorted(done) if not isinstance(done[i], str)]
    failures = tuple(f"{done[i]}" for i in sorted(done) if isinstance(done[i], str))
    if not readable:
        raise VideoError(f"no video of the data set could be read, the first one: {(*failures, 'it is empty')[0]}")
    scores = np.stack([done[i] for i in readable])
    targets = [data.target(i) for i in readable]
    targets = np.stack([t.numpy() for t in targets]) if isinstance(targets[0], Tensor) else np.array(targets)
    names = tuple(data.records[i].name for i in readable)
    scores = scores if columns is None else scores[:, columns]
    return Evaluation(scores, targets, names, data.classes, data.categories, failures)


def measure(scores: np.ndarray, targets: np.ndarray, categories: dict[str, int] | None = None) -> dict[str, float]:
    """See ``Evaluation.metrics``; videos without a label do not count."""
    if targets.ndim == 1:
        scores, targets = scores[targets >= 0], targets[targets >= 0]
        if not len(targets):
            return {}
        top = metrics.top_k_accuracy(scores, targets, topk=(1, 5))
        found = {"top1": top[0], "top5": top[1], "mean_class": metrics.mean_class_accuracy(scores, targets)}
    elif categories:
        found = metrics.hvu_mean_average_precision(scores, targets, categories)
    else:
        found = {
            "mAP": metrics.mean_average_precision(scores, targets),
            "mmit_mAP": metrics.mmit_mean_average_precision(scores, targets),
        }
    return {name: 100 * float(value) for name, value in found.items()}


def fuse(evaluations: Sequence[Evaluation | str | Path], weights: Sequence[float] | None = None) -> Evaluation:
    """Late fusion: the weighted sum of the scores of several networks on the videos that all of them have.

    Args:
        evaluations: of the same data set, or the files and folders they were saved to.
        weights: one for each; None: all equal.

    Raises:
        InputError: no video in common, other classes, or other labels of the same video.
    """
    parts = [e if isinstance(e, Evaluation) else load_evaluation(e) for e in evaluations]
    weights = [1.0] * len(parts) if weights is None else list(weights)
    if len(weights) != len(parts) or not parts:
        raise InputError(f"fusion takes one weight for each set of scores: {len(parts)} sets, {len(weights)} weights.")
    if not sum(weights) > 0:
        raise InputError(f"the weights of a fusion must sum to more than 0, not {weights}.")
    keys = _short_names(parts)
    common = [key for key in keys[0] if all(key in other for other in keys[1:])]
    if not common:
        raise InputError("these scores have no video in common, so they cannot be fused.")
    rows = [[key_of[key] for key in common] for key_of in keys]
    first = parts[0]
    for part, row in zip(parts[1:], rows[1:], strict=True):
        if part.scores.shape[1] != first.scores.shape[1] or part.classes != first.classes:
            raise InputError("these scores are of different classes, so they cannot be fused.")
        if not np.array_equal(part.targets[row], first.targets[rows[0]], equal_nan=part.targets.dtype.kind == "f"):
            raise InputError("the same videos have different labels in these scores.")
    scores = [part.scores[row] for part, row in zip(parts, rows, strict=True)]
    names = tuple(first.names[i] for i in rows[0])
    fused = metrics.fuse_scores(scores, [w / sum(weights) for w in weights]).astype(np.float32)
    return Evaluation(fused, first.targets[rows[0]], names, first.classes, first.categories)


def _short_names(parts: Sequence[Evaluation]) -> list[dict[str, int]]:
    """The position of each video by its name; by path without suffix and folder where that is unique.

    Streams of a data set lie in folders of their own: rgb/a.mp4 and flow/a.mp4 are the same video.
    """
    stems = [[_stem(name) for name in part.names] for part in parts]
    unique = all(len(set(names)) == len(names) for names in stems)
    return [
        {key: i for i, key in enumerate(stem if unique else part.names)}
        for stem, part in zip(stems, parts, strict=True)
    ]


def _stem(name: str) -> str:
    path, mark, part = name.replace(SEPARATOR, "/").partition("#")
    return re.sub(r"\.\w+$", "", path.rsplit("/", 1)[-1]) + mark + part


# ------------------------------------------------------------------------------------------------------------ labels


def label_columns(model: nn.Module, dataset: VideoDataset, match: bool = False) -> list[int] | None:
    """Which of the model's classes is each class of the data set; None where they are the same, or have no names.

    Raises:
        InputError: they differ, and ``match`` is False or cannot help.
    """
    ours, theirs = tuple(getattr(model, "labels", None) or ()), dataset.classes
    if not ours or not theirs:
        if dataset.num_classes and model.num_classes != dataset.num_classes:
            raise InputError(f"the model has {model.num_classes} classes, the data set {dataset.num_classes}.")
        return None
    if ours == theirs:
        return None
    # spelling apart; names that would then be the same, such as "C" and "C++", as they are written
    counts = [Counter(map(_plain, names)) for names in (ours, theirs)]
    spelt = {"", *(plain for count in counts for plain, times in count.items() if times > 1)}
    keys = [[name if _plain(name) in spelt else _plain(name) for name in names] for names in (ours, theirs)]
    position = {key: i for i, key in enumerate(keys[0])}
    columns = [position.get(key) for key in keys[1]]
    if columns == list(range(len(ours))):
        return None
    if None in columns:
        missing = theirs[columns.index(None)]
        raise InputError(f"the data set's class {missing!r} is not among the model's {len(ours)} classes.")
    if not match:
        at = next(i for i, column in enumerate(columns) if column != i) if columns != list(range(len(columns))) else 0
        raise InputError(
            f"model and data set do not have the same classes in the same order: class {at} is {ours[at]!r} in the "
            f"model ({len(ours)} classes) and {theirs[at]!r} in the data set ({len(theirs)}); match_labels=True "
            "(--match-labels) brings the scores into the data set's order."
        )
    return columns


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


# ------------------------------------------------------------------------------------------------------------- files


class ScoreStore:
    """Scores on disk as they are made, in small files of their own, so that nothing written is ever touched again."""

    def __init__(self, folder: Path, about: dict[str, Any], rank: int):
        self.folder = folder
        self.parts = folder / "parts"
        self.rank = rank
        self.waiting: dict[int, np.ndarray | str] = {}
        self.parts.mkdir(parents=True, exist_ok=True)
        before = self.parts / "run.json"
        if before.exists() and json.loads(before.read_text(encoding="utf-8")) != about:
            raise InputError(
                f"{str(folder)!r} holds the scores of another model, data set or protocol; choose another folder, "
                "or delete it."
            )
        write_whole(before, json.dumps(about))

    def read(self) -> dict[int, np.ndarray | str]:
        """All scores so far, of all processes."""
        done: dict[int, np.ndarray | str] = {}
        for path in sorted(self.parts.glob("*.npz")):
            with np.load(path) as file:
                done.update((int(index), file[index]) for index in file)
        return done

    def add(self, index: int, scores: np.ndarray | str) -> None:
        if not isinstance(scores, str):  # videos that could not be read are tried again
            self.waiting[index] = scores
        if len(self.waiting) >= _SAVE_EVERY:
            self.flush()

    def flush(self) -> None:
        if not self.waiting:
            return
        file = io.BytesIO()
        np.savez(file, **{str(index): scores for index, scores in self.waiting.items()})
        write_whole(self.parts / f"{next(iter(self.waiting)):09d}-{self.rank}.npz", file.getvalue())
        self.waiting = {}


def fingerprint(model: nn.Module, data: Dataset, views: Any, dtype: torch.dtype | None) -> dict[str, Any]:
    """What scores depend on."""
    own = next(model.parameters()).dtype
    records = hashlib.sha256()
    for record in data.records:
        records.update(repr(record).encode())
    return {
        "arch": getattr(model, "arch", type(model).__name__),
        "weights": weights_digest(model.state_dict()),
        "dtype": str(own if dtype in (None, torch.float32) else dtype).removeprefix("torch."),
        "records": records.hexdigest(),
        "views": list(views) if isinstance(views, tuple) else views,
        "data_config": repr(model.data_config),
    }


def _write_results(result: Evaluation, folder: Path, data: VideoDataset, model: nn.Module, views: Any) -> None:
    write_whole(folder / "metrics.json", json.dumps(result.metrics, indent=2) + "\n")
    write_whole(folder / "failures.txt", "".join(f"{text}\n" for text in result.failures))
    write_report(
        folder / "report.html",
        title=f"{getattr(model, 'arch', type(model).__name__)}: {len(result.names)} videos",
        history=[],
        metrics=result.metrics,
        classes=result.classes or None,
        confusion=result.confusion,
        worst=worst_clips(result, data),
        summary={"views": views, "videos": len(result.names), "not readable": len(result.failures)},
    )


def worst_clips(result: Evaluation, data: VideoDataset, count: int = 12) -> list[WorstClip]:
    """The videos whose own class got the least probability, with their middle frames, for the report."""
    if result.targets.ndim > 1:
        return []
    rows = np.flatnonzero(result.targets >= 0)
    of_truth = result.scores[rows, result.targets[rows]]
    wrong = result.scores[rows].argmax(1) != result.targets[rows]
    rows, of_truth = rows[wrong], of_truth[wrong]
    positions = {record.name: i for i, record in enumerate(data.records)}
    clips = []
    for i in of_truth.argsort(kind="stable")[:count]:
        row = rows[i]
        truth, guess = (_class_name(result.classes, int(c)) for c in (result.targets[row], result.scores[row].argmax()))
        picture = _middle_frame(data, positions[result.names[row]])
        clips.append(WorstClip(result.names[row], truth, guess, float(of_truth[i]), picture))
    return clips


def _class_name(classes: Sequence[str], index: int) -> str:
    return classes[index] if index < len(classes) else f"class {index}"


def _middle_frame(data: VideoDataset, index: int) -> np.ndarray | None:
    """uint8 (H, W, 3), short side 160."""
    if not isinstance(data.records[index], VideoRecord):
        return None
    try:
        with data.with_transform(None).open(index) as reader:  # pictures, whatever the network takes
            frames = reader.get_frames([reader.num_frames // 2], size=160)
    except (VidhubError, OSError):
        return None
    return frames[0].permute(1, 2, 0).numpy()
