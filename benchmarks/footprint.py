"""Seconds to build a network, and peak memory of a prediction on a long video; each in a process of its own.

python benchmarks/footprint.py [--network vit3d_large] [--minutes 60] [--model tsm_r50]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BUILD = """
import sys, time, torch, timm, vidhub
vidhub.create_model("x3d_xs")  # what is done once in a process is not counted
path = sys.argv[2]
if not path:
    vidhub.save_checkpoint(vidhub.create_model(sys.argv[1]), sys.argv[3])
    raise SystemExit
def seconds(work):
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result
print(seconds(lambda: vidhub.create_model(sys.argv[1]))[0])
print(seconds(lambda: vidhub.create_model(sys.argv[1], checkpoint_path=path))[0])
print(seconds(lambda: open(path, "rb").read())[0])
"""
PREDICT = """
import resource, sys, torch, vidhub
torch.manual_seed(0)
model = vidhub.create_model(sys.argv[1])
vidhub.predict(model, sys.argv[2], views=int(sys.argv[3]), device="cpu", progress=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def run(script: str, *arguments: object) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True
    )
    return [float(line) for line in done.stdout.split()]


def render(path: Path, minutes: float, size: tuple[int, int] = (1080, 1920), fps: int = 25) -> None:
    """A moving pattern in H.264: a minute of it is encoded, and its packets are written again and again."""
    height, width = size
    first = path.with_name("minute.mp4")
    y, x = np.mgrid[:height, :width]
    with av.open(str(first), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "28"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(int(60 * fps * min(minutes, 1))):
            picture = ((x + 4 * i) // 60 + y // 60) % 2 * 200
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path), "w") as container:
        copy, shift = None, 0
        for _ in range(max(1, round(minutes))):
            with av.open(str(first)) as source:
                stream = source.streams.video[0]
                copy = copy or container.add_stream_from_template(stream)
                length = int(Fraction(stream.frames, fps) / stream.time_base)
                for packet in source.demux(stream):
                    if packet.dts is not None:
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, copy
                        container.mux(packet)
                shift += length


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="vit3d_large", help="to build (%(default)s)")
    parser.add_argument("--model", default="tsm_r50", help="to predict with (%(default)s)")
    parser.add_argument("--minutes", type=float, default=60, help="of 1080p video (%(default)s)")
    parser.add_argument("--views", type=int, default=10, help="clips to look at (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = f"{folder}/weights"
        run(BUILD, args.network, "", weights)
        path = f"{weights}/model.safetensors"
        gigabytes = Path(path).stat().st_size / 1e9
        times = zip(*(run(BUILD, args.network, path) for _ in range(args.rounds)), strict=True)
        without, with_weights, reading = map(statistics.median, times)
        print(
            f"{args.network}: built in {without:.2f} s; with its {gigabytes:.2f} GB of weights in {with_weights:.2f} s"
        )
        print(f"    (only reading the file, from the system's cache, takes {reading:.2f} s)")
    with tempfile.TemporaryDirectory() as folder:
        short, long = Path(folder) / "short.mp4", Path(folder) / "long.mp4"
        render(short, 0.1, (256, 340))
        render(long, args.minutes)
        peaks = [run(PREDICT, args.model, video, args.views)[0] for video in (short, long)]
        print(f"{args.model}, {args.views} clips: peak memory {peaks[0]:.0f} MiB on six seconds of 340 x 256, ", end="")
        print(f"{peaks[1]:.0f} MiB on {args.minutes:g} minutes of 1920 x 1080 ({long.stat().st_size / 1e6:.0f} MB)")


if __name__ == "__main__":
    main()
