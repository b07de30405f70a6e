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
from .dataset import is_flow, open_sound, open_stored_flow, open_video
from .lists import SOUND_SUFFIXES
from .records import VideoRecord

_BATCH = 16  # frames decoded at once
_SAMPLE_RATE = 16_000  # Hz, to decode sound


@dataclass(frozen=True)
class CheckReport:
    """What was found."""

    checked: int  # videos
    frames: int  # decoded in all; sound has none
    bad: list[tuple[str, str]] = field(default_factory=list)  # (name, reason), in the order of the records
    problems: list[str] = field(default_factory=list)  # of the annotation, with their lines
    good: list[str] = field(default_factory=list)  # names of the others, where all of them was decoded

    def __str__(self) -> str:
        lines = [f"{self.checked} videos checked, {self.frames} frames decoded: {len(self.bad)} bad"]
        lines += [f"  {name}: {reason}" for name, reason in self.bad]
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

    Raises:
        InputError: the processes cannot start.
    """
    records = list({record.name: record for record in records}.values())
    reasons: dict[str, str] = {}
    frames = 0
    hidden = None if progress is None else not progress
    with tqdm(total=len(records), unit="video", disable=hidden, desc="checking") as bar:
        for record, result in _results(records, max(1, workers or os.cpu_count() or 1), full):
            if isinstance(result, str):
                reasons[record.name] = result
            else:
                frames += result
            bar.update()
            bar.set_postfix(bad=len(reasons))
    names = [record.name for record in records]
    bad = [(name, reasons[name]) for name in names if name in reasons]
    good = [name for name in names if full and name not in reasons]
    return CheckReport(len(records), frames, bad, good=good)


def write_bad_files(report: CheckReport, path: str | Path) -> None:
    """Add the bad videos to the list ``path``, a line "name<TAB>reason" each, and take out those found good.

    Of a part of a video the name has its seconds, "a.mp4#t=1.5,3". Names are relative to the list's folder where they
    are in it, so that both can be moved. The file is replaced as a whole.
    """
    path = Path(path)
    listed = read_bad_files(path) if path.exists() else {}
    for name in report.good:
        listed.pop(os.path.abspath(name), None)
    listed |= {os.path.abspath(name): reason for name, reason in report.bad}
    folder = os.path.join(os.path.abspath(path.parent), "")
    text = "".join(f"{name.removeprefix(folder)}\t{reason}\n" for name, reason in listed.items())
    write_whole(path, text.encode("utf-8", "surrogateescape"))  # names may be in no known encoding


def read_bad_files(path: str | Path) -> dict[str, str]:
    """The names in a list of :func:`write_bad_files`, absolute, with the reasons; lines may hold a name alone.

    Raises:
        InputError: there is no such file.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError as error:
        raise InputError(f"cannot read the list of bad files {str(path)!r} ({error}).") from error
    # names may hold tabs, reasons do not
    rows = [(*line.rsplit("\t", 1), "")[:2] for line in lines if line]
    folder = os.path.abspath(Path(path).parent)
    return {os.path.normpath(os.path.join(folder, name)): reason for name, reason in rows}


def _results(records: Sequence[VideoRecord], workers: int, full: bool) -> Iterator[tuple[VideoRecord, int | str]]:
    """(record, number of decoded frames or what is wrong), as they are done."""
    waiting, suspects = list(reversed(records)), []
    while waiting or suspects:
        # after a crash the videos that were being decoded are tried again, one at a time, to find the one to blame
        alone = bool(suspects)
        queue, size = (suspects, 1) if alone else (waiting, workers)
        pool = _started(size)
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


def _started(workers: int) -> ProcessPoolExecutor:
    context = get_context("spawn")  # forked ones would share the decoders' state
    # Ctrl-C reaches all processes, and only this one has something to say
    ignore = {"initializer": signal.signal, "initargs": (signal.SIGINT, signal.SIG_IGN)}
    pool = ProcessPoolExecutor(workers, mp_context=context, **ignore)
    try:
        pool.submit(os.getpid).result()  # or a pool that cannot even start would be blamed on the first video
    except BrokenProcessPool:
        raise InputError(
            "the processes that decode cannot start: in a script, call this under if __name__ == '__main__':, since "
            "each of them imports the script."
        ) from None
    return pool


def _decode(record: VideoRecord, full: bool) -> int | str:
    try:
        if record.path.lower().endswith((*SOUND_SUFFIXES, ".npy")):
            with open_sound(record) as sound:
                if isinstance(sound, AudioReader):  # spectrograms are read when they are opened
                    sound.waveform(_SAMPLE_RATE)
            return 0
        with (open_stored_flow if is_flow(record.template) else open_video)(record) as reader:
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
