"""Skeletons in videos: persons and their joints frame by frame, and who is who."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.pose_files import read_pose_json
from ..datasets.records import PoseRecord
from ..datasets.video_io import VideoReader
from ..errors import InputError
from ..transforms.factory import create_transform
from ..weights.resolve import fetch_state_dict
from ..weights.tables.skeleton import KEYPOINT_RCNN
from ..weights.types import SkeletonConfig

_AT_ONCE = 4  # frames that are decoded and looked at together


class Persons(NamedTuple):
    """The persons in one frame; a pose estimator returns a list of these, one a frame."""

    boxes: np.ndarray  # (N, 4): x1, y1, x2, y2 in pixels
    keypoints: np.ndarray  # (N, V, 2) in pixels
    scores: np.ndarray  # (N, V), 0 to 1


PoseEstimator = Callable[[Tensor], Sequence[Persons]]  # uint8 (n, 3, H, W) -> n frames' persons


class KeypointRCNN:
    """torchvision's Keypoint R-CNN, which finds persons and the 17 joints of COCO.

    He et al., "Mask R-CNN", ICCV 2017, https://arxiv.org/abs/1703.06870. Its weights are found like those of all
    networks: in the cache, by a mirror, or by their published address.

    Args:
        min_score: of a person to count.
        device: where to run; None: on the CPU.
    """

    layout = "coco"

    def __init__(self, min_score: float = 0.7, device: torch.device | str | None = None, progress: bool = True):
        network = keypoint_rcnn()
        network.load_state_dict(fetch_state_dict(KEYPOINT_RCNN, progress=progress))
        self.network, self.min_score, self.device = network.eval().to(device or "cpu"), min_score, device or "cpu"

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> list[Persons]:
        """The persons in each of the frames uint8 (n, 3, H, W)."""
        found = self.network(list(frames.to(self.device).float() / 255))
        persons = []
        for one in found:
            sure = one["scores"] >= self.min_score
            boxes, joints, logits = (one[k][sure].cpu() for k in ("boxes", "keypoints", "keypoints_scores"))
            persons.append(Persons(boxes.numpy(), joints[..., :2].numpy(), logits.sigmoid().numpy()))
        return persons


def keypoint_rcnn() -> nn.Module:
    """The network that the published weights are of, which has frozen batch norms."""
    from torchvision.models.detection import KeypointRCNN as Network
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    return without_epsilon(Network(resnet_fpn_backbone(backbone_name="resnet50", weights=None), num_classes=2))


def without_epsilon(network: nn.Module) -> nn.Module:
    """``network``, its frozen batch norms dividing by the variance alone, as torchvision's first detectors need it."""
    from torchvision.ops import FrozenBatchNorm2d

    for module in network.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = 0.0
    return network


def poses_for(model: nn.Module, source: Any, views: Any = None, device: Any = None) -> PoseRecord | None:
    """The skeletons that ``predict`` would look for in a video; None for networks that take something else."""
    config = model.data_config
    if not isinstance(config, SkeletonConfig):
        return None
    num_clips = create_transform(config, views=views).num_clips
    return as_poses(source, config.layout, config.num_frames * num_clips, lambda: KeypointRCNN(device=device))


def find_poses(source: Any, estimator: PoseEstimator, num_frames: int | None = None) -> PoseRecord:
    """The skeletons in a video, person by person, those seen longest and surest first.

    Args:
        source: whatever ``VideoReader`` opens, or one.
        estimator: see ``Persons``.
        num_frames: look at this many frames, spread over the video; None: at all.

    Returns:
        A record with ``keypoints`` (M, T, V, 2), ``scores``, the picture's ``image_size``, and in ``extra`` the
        persons' "boxes" (M, T, 4) and "frames" (T,), which frames of the video these are.
    """
    reader = source if isinstance(source, VideoReader) else VideoReader(source)
    try:
        count = reader.num_frames
        wanted = np.arange(count)
        if num_frames and num_frames < count:
            wanted = np.unique(((np.arange(num_frames) + 0.5) * count / num_frames).astype(int))
        seen: list[Persons] = []
        for first in range(0, len(wanted), _AT_ONCE):
            seen += estimator(reader.get_frames(wanted[first : first + _AT_ONCE].tolist()))
        size = reader.size
    finally:
        if reader is not source:
            reader.close()
    boxes, keypoints, scores = track_persons(seen, joints=17)
    name = source if isinstance(source, str) else type(source).__name__
    return PoseRecord(name, -1, len(wanted), keypoints, scores, size, {"frames": wanted, "boxes": boxes})


def track_persons(
    seen: Sequence[Persons], joints: int, *, min_iou: float = 0.3, max_gap: int = 5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Persons frame by frame as persons over time, by how much their boxes overlap from frame to frame.

    In every frame the pairs of most overlap are joined first. A person not seen for more than ``max_gap`` frames is a
    new one after that.

    Returns:
        Boxes (M, T, 4), keypoints (M, T, V, 2) and scores (M, T, V), zeros where a person is not seen; the persons with
        the highest sum of scores first.
    """
    tracks: list[dict[int, int]] = []  # of each person, frame -> which one in that frame
    for now, persons in enumerate(seen):
        live = [t for t in tracks if now - max(t) <= max_gap + 1]
        last = np.array([seen[max(t)].boxes[t[max(t)]] for t in live]).reshape(-1, 4)
        overlap = box_iou(last, np.asarray(persons.boxes).reshape(-1, 4))
        free = set(range(len(persons.boxes)))
        while overlap.size and overlap.max() >= min_iou:
            old, new = np.unravel_index(overlap.argmax(), overlap.shape)
            live[old][now] = int(new)
            free.discard(int(new))
            overlap[old], overlap[:, new] = 0, 0
        tracks += [{now: new} for new in sorted(free)]

    if tracks:
        joints = next(p.keypoints.shape[1] for p in seen if len(p.boxes))
    shape = (len(tracks), len(seen))
    boxes, keypoints, scores = (np.zeros((*shape, *rest), np.float32) for rest in ((4,), (joints, 2), (joints,)))
    for person, times in enumerate(tracks):
        for now, which in times.items():
            boxes[person, now] = seen[now].boxes[which]
            keypoints[person, now], scores[person, now] = seen[now].keypoints[which], seen[now].scores[which]
    order = np.argsort(-scores.sum((1, 2)), kind="stable")
    return boxes[order], keypoints[order], scores[order]


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Overlap of boxes (N, 4) and (M, 4) by their union: (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inside = (high - low).clip(min=0).prod(-1)
    area_a, area_b = ((v[:, 2:] - v[:, :2]).clip(min=0).prod(-1) for v in (a, b))
    return inside / np.maximum(area_a[:, None] + area_b[None] - inside, 1e-9)


def as_poses(source: Any, layout: Any, num_frames: int, estimator: Callable[[], PoseEstimator]) -> PoseRecord:
    """The skeletons that ``source`` is, has stored or shows.

    Args:
        source: a ``PoseRecord``, a dictionary of the common format, a JSON file of keypoints, or a video.
        layout: of the joints that the network takes.
        num_frames: frames to look at in a video.
        estimator: gives the pose estimator, if one is needed.

    Raises:
        InputError: the network takes other joints than those found in videos.
    """
    if hasattr(source, "keypoints"):
        return source
    if isinstance(source, dict):
        if "keypoint" not in source:
            raise InputError('a dictionary of skeletons has "keypoint", (persons, frames, joints, 2 or 3).')
        keypoints = np.asarray(source["keypoint"])
        name, size = str(source.get("frame_dir", "skeletons")), source.get("img_shape")
        return PoseRecord(name, -1, keypoints.shape[1], keypoints, source.get("keypoint_score"), size and tuple(size))
    if str(source).lower().endswith(".json"):
        return read_pose_json(source, layout)
    found = estimator()
    theirs = getattr(found, "layout", layout)
    if theirs != layout:
        raise InputError(f"poses found in videos have the joints of {theirs!r}, and this network takes {layout!r}.")
    return find_poses(source, found, num_frames)
