"""Action detection: its loss and data, and from a video to who does what."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ..datasets.boxes import BoxDataset, frame_at, read_clip
from ..datasets.records import BoxesRecord, BoxProtocol
from ..datasets.video_io import VideoReader
from ..errors import InputError, VidhubError
from ..models._factory import create_model
from ..transforms import functional as F
from ..weights.resolve import fetch_state_dict
from ..weights.tables.detection import FASTER_RCNN
from ..weights.types import DetectionConfig
from .box_losses import box_loss
from .poses import box_iou, without_epsilon
from .predict import checked_dtype, class_names, pick_device, source_name
from .scoring import evaluation_mode, mixed_precision

PersonDetector = Callable[[Tensor], Any]  # uint8 (3, H, W) -> boxes (N, 4) in pixels, or (N, 5) with their score


def action_loss(model: nn.Module, batch: dict[str, Any], **options: Any) -> Tensor:
    """The loss of a detector on a batch of ``collate_boxes``, with these options of ``box_loss``."""
    config = getattr(model, "module", model).data_config
    logits = model(batch["clips"], batch["boxes"], batch["bank"])
    several = config.activation == "sigmoid"
    labels = torch.cat(batch["labels"]).to(logits)
    return box_loss(logits, labels, multilabel=several, background=config.background, **options)


def action_scores(logits: Tensor, activation: str) -> Tensor:
    """Logits (N, classes) -> probabilities."""
    return logits.float().sigmoid() if activation == "sigmoid" else logits.float().softmax(1)


def has_boxes(data: Dataset) -> bool:
    """Whether a data set's records are key frames with boxes."""
    records = getattr(data, "records", None)
    return bool(records) and isinstance(records[0], BoxesRecord)


def open_boxes(
    data: Dataset, model: nn.Module, *, bank: Callable[..., Tensor] | None = None, **options: Any
) -> BoxDataset:
    """A data set of ``create_dataset`` as clips with boxes, as ``model`` takes them.

    A background that the data set's classes begin with is left out for a network that has none.

    Args:
        bank: of ``BoxDataset``, for a network with a memory.
        options: others of ``BoxDataset``.

    Raises:
        InputError: the network is no detector, has another number of classes, or lacks its bank.
    """
    if not isinstance(config := getattr(model, "data_config", None), DetectionConfig):
        raise InputError("this data set has boxes: train or measure a network of list_models(task='detection') on it.")
    records, classes, protocol = data.records, tuple(data.classes), getattr(data, "protocol", None) or BoxProtocol()
    if lacks_background(model, classes):
        if isinstance(data, BoxDataset):
            raise InputError("this network has no background: leave it out of the classes of the data set.")
        records, classes, protocol = _without_background(records, classes, protocol)
    elif model.num_classes != len(data.classes):
        raise InputError(f"the model has {model.num_classes} classes, the data set {len(data.classes)}.")
    if isinstance(data, BoxDataset):
        return data
    if (getattr(model, "memory", None) is None) != (bank is None):
        raise InputError(
            "this network has no memory: leave the bank out."
            if bank
            else "this network looks at the whole video: make a feature bank with vidhub bank, and pass its folder."
        )
    return BoxDataset(records, config, classes, bank=bank, protocol=protocol, **options)


def lacks_background(model: nn.Module, classes: Sequence[str]) -> bool:
    """Whether a detector has all of these classes but the background that they begin with."""
    return (
        not model.data_config.background
        and tuple(classes[:1]) == ("background",)
        and model.num_classes == len(classes) - 1
    )


def _without_background(
    records: Sequence[BoxesRecord], classes: tuple[str, ...], protocol: BoxProtocol
) -> tuple[list[BoxesRecord], tuple[str, ...], BoxProtocol]:
    """The same with every class one lower; the first is none."""

    def lowered(record: BoxesRecord) -> BoxesRecord:
        return replace(record, labels=tuple(tuple(c - 1 for c in known) for known in record.labels))

    counted = protocol.classes and tuple(c - 1 for c in protocol.classes if c)
    excluded = tuple(map(lowered, protocol.excluded))
    return list(map(lowered, records)), classes[1:], protocol._replace(classes=counted, excluded=excluded)


def fitted_config(config: DetectionConfig, data: Dataset) -> DetectionConfig:
    """``config`` with what the boxes of a data set say: whether there is a background, and several actions at once."""
    background = data.classes[:1] == ("background",)
    several = background or any(len(known) > 1 for record in data.records for known in record.labels)
    return replace(config, background=background, activation="sigmoid" if several else "softmax")


def persons_in(picture: Tensor, detector: PersonDetector) -> Tensor:
    """The boxes that a person detector finds in a picture uint8 (3, H, W): float32 (N, 4), on the CPU.

    Raises:
        InputError: it gives something else than boxes (N, 4), or (N, 5) with their score, in pixels of the picture.
    """
    if not callable(detector):
        raise InputError(f"detector must be a function from a picture to boxes, not {detector!r}.")
    found = detector(picture)
    try:
        rows = np.asarray(found.detach().cpu() if isinstance(found, Tensor) else found, np.float32)
    except (TypeError, ValueError, RuntimeError):
        rows = np.zeros(())
    if rows.size == 0 and rows.ndim:
        return torch.zeros(0, 4)
    if rows.ndim != 2 or rows.shape[1] not in (4, 5):
        what = f"shape {rows.shape}" if rows.ndim else type(found).__name__
        raise InputError(f"a person detector gives boxes (N, 4), or (N, 5) with their score, and not {what}.")
    boxes, (height, width) = torch.from_numpy(rows[:, :4].copy()), picture.shape[-2:]
    low, high = boxes[:, :2], boxes[:, 2:]
    edge = torch.tensor([width, height])
    fine = boxes.isfinite().all(1) & (low <= high).all(1) & (low < edge).all(1) & (high > 0).all(1)
    if not fine.all():
        raise InputError(
            f"the person detector gave the box {boxes[~fine][0].tolist()}: expected x1 <= x2 and y1 <= y2 in pixels of "
            f"the picture, which is {width}x{height}."
        )
    return boxes


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
    model: nn.Module,
    source: Any,
    detector: PersonDetector | None = None,
    *,
    every: float = 1.0,
    batch_size: int = 1,
    dtype: str | torch.dtype | None = None,
) -> Iterator[KeyFrame]:
    """Who does what in a video, one key frame after the other; only ``batch_size`` clips are held in memory.

    Args:
        model: a detector of ``create_model``, without a feature bank.
        source: whatever ``VideoReader`` opens, or one.
        detector: finds persons; None: ``FasterRCNN``.
        every: seconds between key frames, the first of them half as far in.
        batch_size: clips that go through the network at once.
        dtype: see ``predict``.

    Raises:
        InputError: the network needs a bank, or the detector gives something else than boxes.
        VideoError: the video cannot be read.
    """
    if every <= 0:
        raise InputError(f"every must be above 0 seconds, not {every!r}.")
    if getattr(model, "memory", None) is not None:
        raise InputError("this network needs a feature bank: take one without for videos.")
    dtype, device, link = checked_dtype(dtype), next(model.parameters()).device, Linker()
    detector = detector or FasterRCNN(device=device)
    with nullcontext(source) if isinstance(source, VideoReader) else VideoReader(source) as reader:
        times = np.arange(min(every, reader.duration) / 2, reader.duration, every).tolist()
        for first in range(0, len(times), batch_size):
            now = times[first : first + batch_size]
            frames = [frame_at(reader, time) for time in now]
            found = [persons_in(reader.get_frames([frame])[0], detector) for frame in frames]
            scores = iter(_scores_of_persons(model, reader, frames, found, dtype))
            for time, frame, boxes in zip(now, frames, found, strict=True):
                yield KeyFrame(time, frame, boxes.numpy(), link(boxes.numpy()), next(scores))


def _scores_of_persons(
    model: nn.Module, reader: VideoReader, frames: list[int], found: list[Tensor], dtype: torch.dtype | None
) -> list[np.ndarray]:
    """What the persons of each frame do: (N, classes), probabilities."""
    somebody = [(frame, boxes) for frame, boxes in zip(frames, found, strict=True) if len(boxes)]
    if not somebody:
        return [np.zeros((0, model.num_classes), np.float32) for _ in found]
    clips = torch.stack([read_clip(reader, frame, model.data_config) for frame, _ in somebody])
    height, width = reader.size
    scale = (clips.shape[-1] / width, clips.shape[-2] / height)
    scores = score_clips(model, clips, [F.scale_points(boxes, scale) for _, boxes in somebody], dtype=dtype)
    return [part.numpy() for part in scores.split([len(boxes) for boxes in found])]


def score_clips(
    model: nn.Module,
    clips: Tensor,
    boxes: Sequence[Tensor],
    bank: Tensor | None = None,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Clips (B, C, T, H, W) and their boxes -> probabilities float32 (sum Ni, classes), on the CPU.

    ``model`` is in evaluation mode meanwhile; another dtype than its own runs in mixed precision.
    """
    like = next(model.parameters())
    inputs = [clips.to(like), [part.to(like.device) for part in boxes], None if bank is None else bank.to(like)]
    try:
        with torch.inference_mode(), evaluation_mode(model), mixed_precision(model, dtype):
            logits = model(*inputs)
    except torch.cuda.OutOfMemoryError:
        raise VidhubError(
            f"{like.device} has too little memory for {len(clips)} clips at once: lower batch_size."
        ) from None
    return action_scores(logits, model.data_config.activation).cpu()


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
    dtype: str | torch.dtype | None = None,
    batch_size: int = 1,
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
    for key in detect_actions(model, source, detector, every=every, batch_size=batch_size, dtype=dtype):
        for box, track, scores in zip(key.boxes.tolist(), key.tracks, key.scores, strict=True):
            best = first + np.argsort(-scores[first:], kind="stable")[:topk]
            chosen = [names[c] for c in best], [float(scores[c]) for c in best]
            rows.append((key.time, key.frame, track, [float(v) for v in box], *chosen))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(6)]
    return ActionPrediction(source_name(source), *columns)


class BoxOverlay:
    """Boxes, names and scores on frames, for ``draw_video``: a box moves evenly from key frame to key frame."""

    def __init__(self, found: ActionPrediction, colors: Sequence[str] = ("#ff5a36", "#2a9df4", "#35c66b", "#f2b81f")):
        self.colors, self.keys = colors, sorted(set(found.frames))
        self.reach = min(np.diff(self.keys), default=30) / 2  # frames that a box is shown before its first key frame
        self.tracks: dict[int, list[tuple[int, np.ndarray, str]]] = defaultdict(list)  # by frame
        columns = (found.frames, found.tracks, found.boxes, found.labels, found.scores)
        for frame, track, box, names, scores in zip(*columns, strict=True):
            text = "\n".join(f"{name} {score:.2f}" for name, score in zip(names, scores, strict=True))
            self.tracks[track].append((frame, np.array(box), text))
        # the tracks that may be seen between two key frames, by the number of key frames before
        self.live: dict[int, list[int]] = defaultdict(list)
        for track, seen in self.tracks.items():
            seen.sort(key=lambda s: s[0])
            for place in range(bisect_right(self.keys, seen[0][0]) - 1, bisect_right(self.keys, seen[-1][0]) + 1):
                self.live[place].append(track)

    def draw(self, pen: Any, number: int, thick: int) -> None:
        from PIL import ImageFont

        font = ImageFont.load_default(6 * thick + 4)
        for track in self.live.get(bisect_right(self.keys, number), ()):
            seen = self.tracks[track]
            if not seen[0][0] - self.reach <= number <= seen[-1][0] + self.reach:
                continue
            after = bisect_right(seen, number, key=lambda s: s[0])
            before, after = seen[max(after - 1, 0)], seen[min(after, len(seen) - 1)]
            share = (number - before[0]) / max(after[0] - before[0], 1)
            box = before[1] + min(max(share, 0.0), 1.0) * (after[1] - before[1])
            text = (before if abs(before[0] - number) <= abs(after[0] - number) else after)[2]
            pen.rectangle(box.tolist(), outline=self.colors[track % len(self.colors)], width=thick)
            place = _inside(pen, (box[0] + 2 * thick, box[1] + thick), text, font)
            pen.text(place, text, font=font, fill="white", stroke_width=1, stroke_fill="black")


def _inside(pen: Any, place: tuple[float, float], text: str, font: Any) -> tuple[float, float]:
    """Where to begin a text so that none of it is beyond the picture's edges, as far as it fits."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font, stroke_width=1)
    width, height = pen.im.size
    x, y = min(place[0], width - right), min(place[1], height - bottom)
    return max(x, -left), max(y, -top)
