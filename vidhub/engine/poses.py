"""Skeletons in videos: persons and their joints frame by frame, and who is who."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.pose_files import holds_poses, read_pose_json
from ..datasets.records import PoseRecord
from ..datasets.video_io import VideoReader
from ..errors import InputError
from ..transforms.factory import create_transform
from ..transforms.skeleton import as_keypoints
from ..transforms.tracking import Persons as Persons
from ..transforms.tracking import box_iou as box_iou
from ..transforms.tracking import track_persons as track_persons
from ..weights.resolve import fetch_state_dict
from ..weights.skeletons import find_layout
from ..weights.tables.skeleton import KEYPOINT_RCNN
from ..weights.types import SkeletonConfig

_AT_ONCE = 4  # frames that are decoded and looked at together


# uint8 (n, 3, H, W) -> n frames' persons, each a Persons or a tuple of its parts; None where nobody is
PoseEstimator = Callable[[Tensor], Sequence[Persons | None]]


class KeypointRCNN:
    """torchvision's Keypoint R-CNN, which finds persons and the 17 joints of COCO.

    He et al., "Mask R-CNN", ICCV 2017, https://arxiv.org/abs/1703.06870. Its weights are found like those of all
    networks: in the cache, by a mirror, or by their published address, when the first frames come.

    Args:
        min_score: of a person to count.
        device: where to run; None: on the CPU.
    """

    layout = "coco"

    def __init__(self, min_score: float = 0.7, device: torch.device | str | None = None, progress: bool = True):
        self.min_score, self.device, self.progress = min_score, device or "cpu", progress

    @functools.cached_property
    def network(self) -> nn.Module:
        network = keypoint_rcnn()
        network.load_state_dict(fetch_state_dict(KEYPOINT_RCNN, progress=self.progress, by_path=False))
        return network.eval().to(self.device)

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


def poses_for(model: nn.Module, source: Any, views: Any = None, device: Any = None, poses: Any = None) -> Any:
    """The skeletons that ``predict`` would take of a video; None for networks that take something else."""
    config = model.data_config
    if not isinstance(config, SkeletonConfig):
        return None
    num_clips = create_transform(config, views=views).num_clips
    return as_poses(source, config.layout, config.num_frames * num_clips, poses or KeypointRCNN(device=device))


def as_poses(source: Any, layout: Any, num_frames: int, poses: Any) -> PoseRecord:
    """The skeletons that ``source`` is, has stored or shows.

    Args:
        source: a video, or skeletons that :func:`stored_poses` reads.
        layout: of the joints that the network takes.
        num_frames: frames to look at in a video.
        poses: the pose estimator; or the skeletons of the video, stored.

    Raises:
        InputError: ``poses`` is neither, or gives other joints than the network takes.
    """
    if not callable(poses):
        with _reader(source) as reader:
            size = reader.size
        if (stored := stored_poses(poses, layout, size)) is not None:
            return stored
        raise InputError(f"poses must be a function, or stored skeletons such as a JSON file, not {poses!r}.")
    if (stored := stored_poses(source, layout)) is not None:
        return stored
    theirs = getattr(poses, "layout", layout)
    if theirs != layout:
        raise InputError(
            f"poses found in videos have the joints of {theirs!r}, and this network takes {layout!r}: pass poses, a "
            "function that finds those, or stored skeletons."
        )
    return find_poses(source, poses, num_frames, find_layout(layout).num_joints)


def stored_poses(source: Any, layout: Any, size: tuple[int, int] | None = None) -> PoseRecord | None:
    """The skeletons in a ``PoseRecord``, a dictionary of the common format or a JSON file; None of other things.

    Args:
        layout: of the joints wanted from a file.
        size: (height, width) of the picture, where the skeletons have none.
    """
    if hasattr(source, "keypoints"):
        return source
    if isinstance(source, dict):
        if "keypoint" not in source:
            raise InputError('a dictionary of skeletons has "keypoint", (persons, frames, joints, 2 or 3).')
        keypoints, scores = as_keypoints(source["keypoint"], source.get("keypoint_score"))
        if (shape := source.get("img_shape")) is not None:
            try:
                size = tuple(int(side) for _, side in zip(("height", "width"), shape, strict=True))
            except (TypeError, ValueError):
                raise InputError(f"img_shape must be the height and width of the picture, not {shape!r}.") from None
        name = str(source.get("frame_dir", "skeletons"))
        return PoseRecord(name, -1, keypoints.shape[1], keypoints, scores, size)
    return read_pose_json(source, layout, size) if holds_poses(source) else None


def find_poses(
    source: Any, estimator: PoseEstimator, num_frames: int | None = None, joints: int | None = None
) -> PoseRecord:
    """The skeletons in a video, person by person, those seen longest and surest first.

    Args:
        source: whatever ``VideoReader`` opens, or one.
        estimator: see ``PoseEstimator``.
        num_frames: look at this many frames, spread over the video; None: at all.
        joints: of a skeleton; None: as many as the estimator finds, 17 where it finds nobody.

    Returns:
        A record with ``keypoints`` (M, T, V, 2), ``scores``, the picture's ``image_size``, and in ``extra`` the
        persons' "boxes" (M, T, 4) and "frames" (T,), which frames of the video these are.

    Raises:
        InputError: the estimator returns something else, or other joints.
    """
    with _reader(source) as reader:
        count = reader.num_frames
        wanted = np.arange(count)
        if num_frames and num_frames < count:
            wanted = np.unique(((np.arange(num_frames) + 0.5) * count / num_frames).astype(int))
        seen: list[Persons] = []
        for first in range(0, len(wanted), _AT_ONCE):
            frames = reader.get_frames(wanted[first : first + _AT_ONCE].tolist())
            seen += _as_persons(estimator(frames), len(frames))
        size = reader.size
    found = {persons.keypoints.shape[1] for persons in seen if len(persons.boxes)}
    joints = joints or min(found, default=17)
    if found - {joints}:
        raise InputError(f"poses must have {joints} joints, not {max(found - {joints})}.")
    boxes, keypoints, scores = track_persons(seen, joints)
    name = os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else type(source).__name__
    return PoseRecord(name, -1, len(wanted), keypoints, scores, size, {"frames": wanted, "boxes": boxes})


@contextmanager
def _reader(source: Any) -> Iterator[VideoReader]:
    """The source if it is a reader, else one that is closed afterwards."""
    if isinstance(source, VideoReader):
        yield source
    else:
        with VideoReader(source) as reader:
            yield reader


def _as_persons(found: Any, count: int) -> list[Persons]:
    """What an estimator returned for so many frames, as arrays."""
    wanted = (
        f"poses must return boxes (N, 4), keypoints (N, joints, 2) and scores (N, joints) for each of {count} frames, "
        "or None where nobody is"
    )
    try:
        frames = [((), (), ()) if persons is None else tuple(persons) for persons in found]
        arrays = [[_array(part) for part in parts] for parts in frames]
    except (TypeError, ValueError):
        raise InputError(f"{wanted}, not {type(found).__name__}.") from None
    if len(arrays) != count or any(len(parts) != 3 for parts in arrays):
        raise InputError(f"{wanted}, not {len(arrays)} frames of {sorted({len(parts) for parts in arrays})} parts.")
    out = []
    for boxes, keypoints, scores in arrays:
        if not len(boxes):
            boxes, keypoints, scores = np.zeros((0, 4)), np.zeros((0, 0, 2)), np.zeros((0, 0))
        if boxes.shape[1:] != (4,) or keypoints.shape != (len(boxes), *scores.shape[1:], 2) or scores.ndim != 2:
            raise InputError(f"{wanted}, not of shapes {boxes.shape}, {keypoints.shape} and {scores.shape}.")
        out.append(Persons(boxes, keypoints, scores))
    return out


def _array(part: Any) -> np.ndarray:
    return np.atleast_1d(np.asarray(part.detach().cpu() if isinstance(part, Tensor) else part, np.float32))
