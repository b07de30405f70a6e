"""Is frame i always frame i? Compare random access with plain decoding, and see what it costs.

    python benchmarks/frame_exactness.py [FILE OR FOLDER ...] [--sets 50] [--opens 2000]

Without files, the videos that the tests render are used. ``seek`` is the mean time to get one set of frames by number
from an open reader, ``straight`` that of one plain decode of the whole file into RGB.
"""

import argparse
import contextlib
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
from av.codec.codec import UnknownCodecError

from vidhub import VideoReader
from vidhub.errors import VideoError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import media


def main() -> int:
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = list(find_files(args.files)) or render_collection(Path(folder))
        print("| file | codec | frames | sets | wrong frames | open ms | seek ms | straight ms |")
        print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        wrong = sum(compare(file, args.sets, args.frames, random.Random(args.seed)) for file in files)
        print(f"\n{wrong} wrong frames in {len(files)} files")
        if args.opens:
            count_opens(files, args.opens)
    return int(wrong > 0)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="videos, or folders of them; default: rendered ones")
    parser.add_argument("--sets", type=int, default=50, help="random sets of frames to compare in each file")
    parser.add_argument("--frames", type=int, default=8, help="frames in a set")
    parser.add_argument("--opens", type=int, default=0, help="then open so many readers and report memory and handles")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def find_files(paths: list[Path]):
    for path in paths:
        yield from sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]


def render_collection(folder: Path) -> list[Path]:
    for name, recipe in media.RECIPES.items():
        with contextlib.suppress(UnknownCodecError):  # an encoder that this build of PyAV lacks
            recipe(folder / name)
    return [folder / name for name in media.RECIPES if (folder / name).exists()]


def compare(file: Path, sets: int, frames: int, chance: random.Random) -> int:
    """Print one line of the table; the number of frames that were not what plain decoding gives."""
    start = time.perf_counter()
    try:
        reader = VideoReader(file)
    except VideoError as error:
        print(f"| {file.name} | - | - | - | - | - | - | {str(error).replace(str(file), file.name)} |")
        return 0
    opened = time.perf_counter()
    codec, expected = decode(file, reader)
    decoded = time.perf_counter()
    wrong = abs(len(expected) - len(reader))
    common = range(min(len(expected), len(reader)))
    seeking = 0.0
    for _ in range(sets):
        indices = chance.choices(common, k=frames)
        begin = time.perf_counter()
        got = reader.get_frames(indices)
        seeking += time.perf_counter() - begin
        wrong += sum(differs(frame, expected[index]) for frame, index in zip(got, indices, strict=True))
    wrong += sum(differs(frame, expected[index]) for index, frame in zip(common, reader, strict=False))
    times = (opened - start) * 1e3, seeking / max(sets, 1) * 1e3, (decoded - opened) * 1e3
    cells = [file.name, codec, len(reader), sets, wrong, *(f"{value:.1f}" for value in times)]
    print("|", " | ".join(map(str, cells)), "|", flush=True)
    return wrong


def decode(file: Path, reader: VideoReader) -> tuple[str, list[np.ndarray]]:
    """Codec and frames of a plain decode with PyAV, turned upright by whole quarter turns."""
    with av.open(str(file), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_type = "AUTO"
        frames = [np.rot90(f.to_ndarray(format="rgb24"), -reader.rotation // 90) for f in container.decode(stream)]
        return stream.codec_context.name, frames


def differs(frame, expected: np.ndarray) -> bool:
    return not np.array_equal(frame.permute(1, 2, 0).numpy(), expected)


def count_opens(files: list[Path], opens: int) -> None:
    """Open one file after the other, take a frame from each and report memory and file handles on the way."""
    readable = [file for file in files if is_video(file)]
    print("\n| opens | memory MiB | file handles |\n| ---: | ---: | ---: |")
    for done in range(opens + 1):
        if done % max(1, opens // 8) == 0:
            print(f"| {done} | {resident_mib():.1f} | {len(os.listdir('/proc/self/fd'))} |", flush=True)
        with VideoReader(readable[done % len(readable)], threads=1) as reader:
            reader.get_frames([0])


def is_video(file: Path) -> bool:
    try:
        VideoReader(file).close()
    except VideoError:
        return False
    return True


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    sys.exit(main())
