"""Decoding every video of a data set to find the bad ones before a training run does."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from tqdm.auto import tqdm

from .._files import write_whole
from ..errors import InputError, in_one_line
from .audio_io import AudioReader
from .dataset import open_video
from .lists import SOUND_SUFFIXES
from .records import VideoRecord

_BATCH = 16  # frames decoded at once
_SAMPLE_RATE = 16_000  # Hz, to decode sound


@dataclass(frozen=True)
class CheckReport:
    """What was found."""

    checked: int  # videos
    frames: int  # decoded in all; sound has none
    bad: list[tuple[str, str]] = field(default_factory=list)  # (path, reason), in the order of the records
    problems: list[str] = field(default_factory=list)  # of the annotation, with their lines

    def __str__(self) -> str:
        lines = [f"{self.checked} videos checked, {self.frames} frames decoded: {len(self.bad)} bad"]
        lines += [f"  {path}: {reason}" for path, reason in self.bad]
        if self.problems:
            lines += [f"{len(self.problems)} problems in the annotation", *(f"  {text}" for text in self.problems)]
        return "\n".join(lines)


def check_videos(
    records: Sequence[VideoRecord], *, workers: int | None = None, full: bool = True, progress: bool | None = None
) -> CheckReport:
    """Decode the videos of ``records`` in processes of their own.

    A decoder that crashes takes only its process with it, and the video is listed as bad.

    Args:
        workers: processes; None: one per core.
        full: decode every frame; False: the first and the last one.
        progress: show a bar; None: if stderr is a terminal.
    """
    records = list({record.name: record for record in records}.values())
    reasons: dict[str, str] = {}
    frames = 0
    hidden = None if progress is None else not progress
    with tqdm(total=len(records), unit="video", disable=hidden, desc="checking") as bar:
        for record, result in _results(records, max(1, workers or os.cpu_count() or 1), full):
            if isinstance(result, str):
                reasons[record.path] = result
            else:
                frames += result
            bar.update()
            bar.set_postfix(bad=len(reasons))
    order = dict.fromkeys(record.path for record in records if record.path in reasons)
    return CheckReport(len(records), frames, [(path, reasons[path]) for path in order])


def write_bad_files(report: CheckReport, path: str | Path) -> None:
    """Add the bad videos to the list ``path``: a line "path<TAB>reason" each. The file is replaced as a whole."""
    path = Path(path)
    listed = read_bad_files(path) if path.exists() else {}
    listed |= dict(report.bad)
    write_whole(path, "".join(f"{name}\t{reason}\n" for name, reason in listed.items()))


def read_bad_files(path: str | Path) -> dict[str, str]:
    """The paths in a list of :func:`write_bad_files`, with the reasons; lines may hold a path alone.

    Raises:
        InputError: there is no such file.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InputError(f"cannot read the list of bad files {str(path)!r} ({error}).") from error
    # names may hold tabs, reasons do not
    return dict((*line.rsplit("\t", 1), "")[:2] for line in lines if line)


def _results(records: Sequence[VideoRecord], workers: int, full: bool) -> Iterator[tuple[VideoRecord, int | str]]:
    """(record, number of decoded frames or what is wrong), as they are done."""
    context = get_context("spawn")  # forked processes would share the state of the decoders
    waiting, suspects = list(reversed(records)), []
    while waiting or suspects:
        # after a crash the videos that were being decoded are tried again, one at a time, to find the one to blame
        alone = bool(suspects)
        queue, size = (suspects, 1) if alone else (waiting, workers)
        # Ctrl-C reaches all processes, and only this one has something to say
        ignore = {"initializer": signal.signal, "initargs": (signal.SIGINT, signal.SIG_IGN)}
        pool = ProcessPoolExecutor(size, mp_context=context, **ignore)
        running: dict[Future, VideoRecord] = {}
        try:
            while queue or running:
                while queue and len(running) < 2 * size - alone:
                    running[pool.submit(_decode, queue[-1], full)] = queue[-1]
                    queue.pop()  # only now: in a broken pool nothing can be submitted
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    record = running[future]
                    result = future.result()
                    del running[future]
                    yield record, result
        except BrokenProcessPool:
            if alone:
                (record,) = running.values()
                yield record, "the decoder crashes on it"
            else:
                suspects = list(running.values())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _decode(record: VideoRecord, full: bool) -> int | str:
    try:
        if record.path.lower().endswith(SOUND_SUFFIXES):
            with AudioReader(record.path) as sound:
                sound.waveform(_SAMPLE_RATE)
            return 0
        with open_video(record) as reader:
            total = reader.num_frames
            if record.num_frames is not None and total < record.num_frames:
                return f"it has {total} frames, the list says {record.num_frames}"
            wanted = range(total) if full else [0, total - 1]
            for first in range(0, len(wanted), _BATCH):
                reader.get_frames(wanted[first : first + _BATCH])
                if reader.num_frames < total:
                    return f"only {reader.num_frames} of {total} frames can be decoded"
            return len(wanted)
    except Exception as error:  # whatever a decoder raises, the video is bad and the others go on
        return in_one_line(error)
