"""decord, torchcodec and OpenCV for benchmarks/decoding.py; runs in an environment of its own, with what it has."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from peers import serve


def with_decord(path: str, indices: list[int]) -> np.ndarray:
    from decord import VideoReader

    return VideoReader(path).get_batch(indices).asnumpy()


def with_torchcodec(path: str, indices: list[int]) -> np.ndarray:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(path, dimension_order="NHWC", num_ffmpeg_threads=0, seek_mode="approximate")
    return decoder.get_frames_at(indices).data.numpy()


def with_torchcodec_exact(path: str, indices: list[int]) -> np.ndarray:
    from torchcodec.decoders import VideoDecoder

    return VideoDecoder(path, dimension_order="NHWC", num_ffmpeg_threads=0).get_frames_at(indices).data.numpy()


def with_opencv(path: str, indices: list[int]) -> np.ndarray:
    """Straight through, as OpenCV's seeking is not exact."""
    import cv2

    capture, wanted, frames, at = cv2.VideoCapture(path), sorted(set(indices)), {}, 0
    for index in wanted:
        while at < index:
            capture.grab()
            at += 1
        frames[index] = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
        at += 1
    return np.stack([frames[index] for index in indices])


PEERS = {
    "decord": ("decord", with_decord),
    "torchcodec": ("torchcodec", with_torchcodec),
    "torchcodec, exact": ("torchcodec", with_torchcodec_exact),
    "OpenCV": ("cv2", with_opencv),
}


def main() -> None:
    drawn: dict[str, Any] = {}

    def available() -> dict[str, str]:
        """The version of each peer that is there."""
        found = {}
        for name, (module, _) in PEERS.items():
            try:
                found[name] = importlib.import_module(module).__version__
            except (ImportError, OSError, RuntimeError):
                continue
        return found

    def read(peer: str, path: str, indices: list[int]) -> None:
        drawn["frames"] = PEERS[peer][1](path, indices)

    def save(file: str) -> None:
        np.save(file, drawn["frames"])

    serve({"available": available, "read": read, "save": save})


if __name__ == "__main__":
    main()
