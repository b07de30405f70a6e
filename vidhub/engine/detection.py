"""Action detection: its loss and validation, and from a video to who does what."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from ..datasets.boxes import BoxDataset, collate_boxes, read_clip
from ..datasets.catalog import create_dataset
from ..datasets.records import BoxesRecord
from ..datasets.video_io import VideoReader
from ..errors import InputError
from ..metrics.ava import MMACTION2, Boxes, frame_map
from ..metrics.tubes import Tube, link_boxes, video_map
from ..models._factory import create_model
from ..transforms import functional as F
from ..weights.resolve import fetch_state_dict
from ..weights.tables.detection import FASTER_RCNN
from ..weights.types import DetectionConfig
from .box_losses import box_loss
from .poses import box_iou, without_epsilon
from .predict import class_names, pick_device

PersonDetector = Callable[[Tensor], Any]  # uint8 (3, H, W) -> boxes (N, 4) in pixels, or (N, 5) with their score


def action_loss(model: nn.Module, batch: dict[str, Any], *, alpha: float = 1.0, gamma: float = 0.0) -> Tensor:
    """The loss of a detector on a batch of ``collate_boxes``; see ``box_loss``."""
    config = getattr(model, "module", model).data_config
    logits = model(batch["clips"], batch["boxes"], batch["bank"])
    several = config.activation == "sigmoid"
    labels = torch.cat(batch["labels"]).to(logits)
    return box_loss(logits, labels, multilabel=several, background=config.background, alpha=alpha, gamma=gamma)


def action_scores(logits: Tensor, activation: str) -> Tensor:
    """Logits (N, classes) -> probabilities."""
    return logits.float().sigmoid() if activation == "sigmoid" else logits.float().softmax(1)


def has_boxes(data: Dataset) -> bool:
    """Whether a data set's records are key frames with boxes."""
    records = getattr(data, "records", None)
    return bool(records) and isinstance(records[0], BoxesRecord)


def open_boxes(
    data: Dataset, model: nn.Module, *, training: bool = False, bank: Callable[..., Tensor] | None = None
) -> BoxDataset:
    """A data set of ``create_dataset`` as clips with boxes, as ``model`` takes them.

    Args:
        bank: of ``BoxDataset``, for a network with a memory.

    Raises:
        InputError: the network is no detector, has another number of classes, or lacks its bank.
    """
    if not isinstance(config := getattr(model, "data_config", None), DetectionConfig):
        raise InputError("this data set has boxes: train or measure a network of list_models(task='detection') on it.")
    if model.num_classes != len(data.classes):
        raise InputError(f"the model has {model.num_classes} classes, the data set {len(data.classes)}.")
    if isinstance(data, BoxDataset):
        return data
    if (getattr(model, "memory", None) is None) != (bank is None):
        raise InputError(
            "this network has no memory: leave the bank out."
            if bank
            else "this network looks at the whole video: make a feature bank with vidhub bank, and pass its folder."
        )
    return BoxDataset(data.records, config, data.classes, training=training, bank=bank)


def fitted_config(config: DetectionConfig, data: Dataset) -> DetectionConfig:
    """``config`` with what the boxes of a data set say: whether there is a background, and several actions at once."""
    background = data.classes[:1] == ("background",)
    several = background or any(len(known) > 1 for record in data.records for known in record.labels)
    return replace(config, background=background, activation="sigmoid" if several else "softmax")


def measure_detector(
    model: nn.Module | str,
    dataset: str,
    root: str,
    split: str = "val",
    device: str | torch.device | None = None,
    *,
    as_mmaction2: bool = False,
    bank: Callable[..., Tensor] | None = None,
    workers: int = 0,
    **options: Any,
) -> dict[str, float]:
    """:func:`score_boxes` of a data set by name, on the boxes of a person detector where it has some.

    Args:
        model: of ``create_model``, or a name whose published weights are loaded.
        as_mmaction2: count as MMAction2's published scores do, see ``metrics.ava.MMACTION2``.
        bank: see :func:`open_boxes`.
        workers: processes that decode.
        options: of ``create_dataset``.

    Raises:
        InputError: see :func:`open_boxes`.
    """
    device = pick_device(device, model)
    model = create_model(model, pretrained=True) if isinstance(model, str) else model
    data = open_boxes(create_dataset(dataset, root, split, **options), model, bank=bank)
    counting = MMACTION2 if as_mmaction2 else {}
    return score_boxes(model.to(device), data, workers=workers, progress=sys.stderr.isatty(), **counting)


@torch.inference_mode()
def score_boxes(
    model: nn.Module,
    data: BoxDataset,
    *,
    min_score: float = 0.002,
    workers: int = 0,
    progress: bool = False,
    **counting: Any,
) -> dict[str, float]:
    """Frame mAP of a network on a data set, in percent, and of tubes their video mAP at IoU 0.2 and 0.5.

    Args:
        min_score: actions of a box that are less likely are not counted as found.
        counting: of ``frame_map``.
    """
    model.eval()
    device = next(model.parameters()).device
    first = 1 if model.data_config.background else 0
    found, truth = [], []
    samples = DataLoader(data, batch_size=None, num_workers=workers)
    for i, sample in enumerate(tqdm(samples, unit="frame", disable=not progress)):
        record = data.records[i]
        actual = np.asarray(record.boxes, np.float64).reshape(-1, 4)
        truth += [(i, *box, c) for box, known in zip(actual, record.labels, strict=True) for c in known]
        if not len(sample.boxes):
            continue
        bank = collate_boxes([sample])["bank"]
        logits = model(
            sample.clip[None].to(device), [sample.boxes.to(device)], None if bank is None else bank.to(device)
        )
        scores = action_scores(logits, model.data_config.activation).cpu()
        boxes = F.original_boxes(sample.boxes, sample.clip.shape[-2:]).tolist()
        for box, row in zip(boxes, scores.tolist(), strict=True):
            found += [(i, *box, c, s) for c, s in enumerate(row) if c >= first and s > min_score]
    result = {"mAP": 100 * frame_map(_rows(found, scored=True), _rows(truth), **counting).overall}
    if all(record.in_frames and record.entity_ids for record in data.records):
        tubes, actual = _linked(found, data.records), _annotated_tubes(data.records)
        result |= {f"video mAP@{iou}": 100 * video_map(tubes, actual, iou=iou) for iou in (0.2, 0.5)}
    return result


def _linked(rows: list[tuple], records: Sequence[BoxesRecord]) -> list[Tube]:
    """Tubes of rows (record, x1, y1, x2, y2, class, score)."""
    of_tubes = defaultdict(list)
    for i, *box, label, score in rows:
        of_tubes[records[i].video_id, label].append((records[i].timestamp, *box, score))
    tubes = []
    for (video, label), part in of_tubes.items():
        table = np.array(part, np.float64)
        tubes += link_boxes(video, label, table[:, 0].astype(np.int64), table[:, 1:5], table[:, 5])
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


def _rows(rows: list[tuple], scored: bool = False) -> Boxes:
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 7 if scored else 6)
    return Boxes([row[0] for row in rows], table[:, 1:5], table[:, 5].astype(np.int64), table[:, 6] if scored else None)


def box_validation(data: BoxDataset, workers: int = 0) -> Callable[[nn.Module], dict[str, float]]:
    """``validate(model)`` of ``train``."""
    return lambda model: score_boxes(model, data, workers=workers)


class FasterRCNN:
    """torchvision's Faster R-CNN, of which persons are taken: uint8 (3, H, W) -> float32 (N, 5), boxes and scores.

    Ren et al., NeurIPS 2015, https://arxiv.org/abs/1506.01497. Its weights are found like those of all networks.
    """

    def __init__(self, min_score: float = 0.8, device: torch.device | str | None = None, progress: bool = True):
        network = faster_rcnn()
        network.load_state_dict(fetch_state_dict(FASTER_RCNN, progress=progress, by_path=False))
        self.network, self.min_score, self.device = network.eval().to(device or "cpu"), min_score, device or "cpu"

    @torch.inference_mode()
    def __call__(self, frame: Tensor) -> np.ndarray:
        found = self.network([frame.to(self.device).float() / 255])[0]
        kept = (found["labels"] == 1) & (found["scores"] >= self.min_score)
        return torch.cat((found["boxes"], found["scores"][:, None]), 1)[kept].cpu().numpy()


def faster_rcnn() -> nn.Module:
    """The network that the published weights are of."""
    from torchvision.models.detection import FasterRCNN as Network
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    return without_epsilon(Network(resnet_fpn_backbone(backbone_name="resnet50", weights=None), num_classes=91))


class KeyFrame(NamedTuple):
    """The persons in one frame and what they do."""

    time: float  # seconds
    frame: int
    boxes: np.ndarray  # (N, 4) in pixels of the video
    tracks: list[int]  # which person each is; the same number in the next key frame is the same person
    scores: np.ndarray  # (N, classes), probabilities


class Linker:
    """Gives boxes the numbers of the persons that they overlap most in the key frame before.

    A person who is not seen in ``max_gap`` key frames has a new number after that.
    """

    def __init__(self, min_iou: float = 0.3, max_gap: int = 2):
        self.min_iou, self.max_gap, self.count, self.now = min_iou, max_gap, 0, 0
        self.last: dict[int, tuple[int, np.ndarray]] = {}  # track -> when it was seen, and where

    def __call__(self, boxes: np.ndarray) -> list[int]:
        self.now += 1
        self.last = {t: seen for t, seen in self.last.items() if self.now - seen[0] <= self.max_gap + 1}
        known = list(self.last)
        overlap = box_iou(np.array([self.last[t][1] for t in known]).reshape(-1, 4), boxes)
        tracks = [-1] * len(boxes)
        while overlap.size and overlap.max() >= self.min_iou:
            old, new = np.unravel_index(overlap.argmax(), overlap.shape)
            tracks[new] = known[old]
            overlap[old], overlap[:, new] = 0, 0
        for i, track in enumerate(tracks):
            if track < 0:
                tracks[i], self.count = self.count, self.count + 1
            self.last[tracks[i]] = (self.now, boxes[i])
        return tracks


@torch.inference_mode()
def detect_actions(
    model: nn.Module, source: Any, detector: PersonDetector | None = None, *, every: float = 1.0
) -> Iterator[KeyFrame]:
    """Who does what in a video, one key frame after the other; only the frames of one clip are held in memory.

    Args:
        model: a detector of ``create_model``, without a feature bank.
        source: whatever ``VideoReader`` opens.
        detector: finds persons; None: ``FasterRCNN``.
        every: seconds between key frames, the first of them half as far in.
    """
    if every <= 0:
        raise InputError(f"every must be above 0 seconds, not {every!r}.")
    if getattr(model, "memory", None) is not None:
        raise InputError("this network needs a feature bank: take one without for videos.")
    device = next(model.parameters()).device
    detector, link = detector or FasterRCNN(device=device), Linker()
    model.eval()
    with VideoReader(source) as reader:
        height, width = reader.size
        times = np.arange(min(every, reader.duration) / 2, reader.duration, every)
        for time in times.tolist():
            frame = min(int(time * reader.fps), reader.num_frames - 1)
            rows = np.asarray(detector(reader.get_frames([frame])[0]), np.float32)
            boxes = (rows if rows.ndim == 2 else rows.reshape(-1, 4))[:, :4]
            scores = np.zeros((0, model.num_classes), np.float32)
            if len(boxes):
                clip = read_clip(reader, frame, model.data_config)
                scale = (clip.shape[-1] / width, clip.shape[-2] / height)
                inside = F.scale_points(torch.from_numpy(boxes), scale)
                logits = model(clip[None].to(device), [inside.to(device)])
                scores = action_scores(logits, model.data_config.activation).cpu().numpy()
            yield KeyFrame(time, frame, boxes, link(boxes), scores)


@dataclass(frozen=True)
class ActionPrediction:
    """Who does what in one video: a row for each person and key frame."""

    source: str
    times: list[float]  # seconds
    frames: list[int]
    tracks: list[int]  # which person
    boxes: list[list[float]]  # x1, y1, x2, y2 in pixels
    labels: list[list[str]]  # the likeliest classes, best first
    scores: list[list[float]]

    def __str__(self) -> str:
        rows = zip(self.times, self.tracks, self.labels, self.scores, strict=True)
        lines = [
            f"{time:8.2f} s  person {track}: " + ", ".join(f"{n} {s:.2f}" for n, s in zip(names, scores, strict=True))
            for time, track, names, scores in rows
        ]
        return "\n".join(lines) or "nobody was found"

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, ready for JSON."""
        return asdict(self)


def predict_actions(
    model: nn.Module | str,
    source: Any,
    *,
    detector: PersonDetector | None = None,
    every: float = 1.0,
    topk: int = 3,
    device: str | torch.device | None = None,
    labels: Sequence[str] | None = None,
) -> ActionPrediction:
    """:func:`detect_actions` with class names, for a whole video."""
    device = pick_device(device, model)
    if not isinstance(model, nn.Module):
        model = create_model(model, pretrained=True)
    model.to(device)
    first = 1 if model.data_config.background else 0
    if labels is None and model.labels and len(model.labels) == model.num_classes - first:
        labels = [*["background"] * first, *model.labels]
    names = class_names(model, labels)
    rows = []
    for key in detect_actions(model, source, detector, every=every):
        for box, track, scores in zip(key.boxes.tolist(), key.tracks, key.scores, strict=True):
            best = first + np.argsort(-scores[first:], kind="stable")[:topk]
            chosen = [names[c] for c in best], [float(scores[c]) for c in best]
            rows.append((key.time, key.frame, track, [float(v) for v in box], *chosen))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(6)]
    return ActionPrediction(source if isinstance(source, str) else type(source).__name__, *columns)


class BoxOverlay:
    """Boxes, names and scores on frames, for ``draw_video``: a box moves evenly from key frame to key frame."""

    def __init__(self, found: ActionPrediction, colors: Sequence[str] = ("#ff5a36", "#2a9df4", "#35c66b", "#f2b81f")):
        self.colors, self.tracks = colors, {}
        for frame, track, box, names, scores in zip(
            found.frames, found.tracks, found.boxes, found.labels, found.scores, strict=True
        ):
            text = [f"{name} {score:.2f}" for name, score in zip(names, scores, strict=True)]
            self.tracks.setdefault(track, []).append((frame, np.array(box), text))
        frames = sorted(set(found.frames))
        self.reach = min(np.diff(frames), default=30) / 2  # frames that a box is shown before its first key frame

    def draw(self, pen: Any, number: int, thick: int) -> None:
        from PIL import ImageFont

        font = ImageFont.load_default(6 * thick + 4)
        for track, seen in self.tracks.items():
            frames = [frame for frame, _, _ in seen]
            if not frames[0] - self.reach <= number <= frames[-1] + self.reach:
                continue
            box = [np.interp(number, frames, [b[i] for _, b, _ in seen]) for i in range(4)]
            text = min(seen, key=lambda s: abs(s[0] - number))[2]
            color = self.colors[track % len(self.colors)]
            pen.rectangle(box, outline=color, width=thick)
            place = (box[0] + 2 * thick, box[1] + thick)
            pen.text(place, "\n".join(text), font=font, fill="white", stroke_width=1, stroke_fill="black")
