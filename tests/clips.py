"""A data set that the tests render: stripes that stand still or move, one folder a class."""

from pathlib import Path

import av
import numpy as np

SIZE = 48
CLASSES = {"moving": 3, "still": 0}  # pixels a frame


def render_stripes(path: Path, step: int, seed: int, frames: int = 12) -> None:
    """Stripes that move ``step`` pixels a frame, downwards at a random place and shade."""
    phase, shade = np.random.default_rng(seed).integers((0, 120), (16, 220))
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        for i in range(frames):
            rows = (np.arange(SIZE) + phase - step * i) % 16 < 8
            picture = np.broadcast_to((rows * shade)[:, None, None], (SIZE, SIZE, 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())


def fill(folder: Path, videos: int, first: int = 0) -> Path:
    """``folder/moving/*.mp4`` and ``folder/still/*.mp4``, ``videos`` of each."""
    for name, step in CLASSES.items():
        for i in range(first, first + videos):
            render_stripes(folder / name / f"{i}.mp4", step, i)
    return folder
