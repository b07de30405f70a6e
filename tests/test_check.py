"""Decoding a whole data set to find its bad videos."""

import io
import os
import signal
import subprocess
import sys
import wave
import zipfile

import pytest
from clips import fill
from media import render, spoil

from vidhub.cli import main
from vidhub.datasets import catalog, check
from vidhub.datasets.catalog import check_dataset, create_dataset
from vidhub.datasets.check import CheckReport, check_videos, read_bad_files, write_bad_files
from vidhub.datasets.records import VideoRecord
from vidhub.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a", "b", "c"):
        (folder / "train" / name).mkdir(parents=True)
        render(folder / "train" / name / "good.mp4", frames=20)
    (folder / "train" / "a" / "text.mp4").write_bytes(b"no video")
    whole = (folder / "train" / "b" / "good.mp4").read_bytes()
    (folder / "train" / "b" / "short.mp4").write_bytes(whole[: len(whole) // 3])
    return folder


def records(folder):
    return create_dataset("folder", folder, "train", bad_files=False).records


@pytest.mark.parametrize("full", [True, False])
def test_bad_videos_are_found(folder, full):
    report = check_videos(records(folder), workers=2, full=full, progress=False)
    assert report.checked == 5
    assert {os.path.basename(path) for path, _ in report.bad} == {"text.mp4", "short.mp4"}
    assert report.frames == (60 if full else 6)
    assert "5 videos checked" in str(report)
    assert "text.mp4" in str(report)


def test_damage_inside_a_video_is_found(tmp_path):
    path = spoil(render(tmp_path / "spoilt.mp4", frames=40), first=10, last=25)
    ((name, reason),) = check_videos([VideoRecord(str(path))], workers=1, progress=False).bad
    assert name == str(path)
    assert "of 40 frames can be decoded" in reason


def test_missing_files_and_too_few_frames(folder):
    path = str(folder / "train" / "a" / "good.mp4")
    listed = [VideoRecord(str(folder / "none.mp4")), VideoRecord(path, num_frames=30)]
    report = check_videos(listed, workers=1, progress=False)
    reasons = [reason for _, reason in report.bad]
    assert "there is no video" in reasons[0]
    assert reasons[1] == "it has 20 frames, the list says 30"


def crash(record, full):
    if "text" in record.path:
        os.kill(os.getpid(), signal.SIGKILL)
    return 1


def test_a_decoder_that_crashes_is_blamed_on_its_video(folder, monkeypatch):
    monkeypatch.setattr(check, "_decode", crash)
    report = check_videos(records(folder), workers=2, progress=False)
    assert [(os.path.basename(path), reason) for path, reason in report.bad] == [
        ("text.mp4", "the decoder crashes on it")
    ]
    assert report.frames == 4


def test_a_script_without_a_guard_is_told_so(tmp_path):
    render(tmp_path / "a.mp4", frames=2)
    script = tmp_path / "script.py"
    script.write_text(
        "from vidhub.datasets.check import VideoRecord, check_videos\n"
        f"check_videos([VideoRecord({str(tmp_path / 'a.mp4')!r})], workers=1, progress=False)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert "under if __name__ == '__main__'" in done.stderr.splitlines()[-1]


def test_what_was_found_is_told_where_no_list_can_be_written(folder, monkeypatch, capsys):
    def refuse(*args):
        raise PermissionError("read-only")

    monkeypatch.setattr(catalog, "write_bad_files", refuse)
    assert main(["check", "folder", str(folder), "--workers", "1", "--quick"]) == 2
    out, err = capsys.readouterr()
    assert "2 bad" in out
    assert err == f"vidhub: the list of the bad videos cannot be written in {str(folder)!r}: may it be changed?\n"


def test_lists_are_merged(tmp_path):
    path = tmp_path / "bad_files.txt"
    here = [str(tmp_path / name) for name in ("a b.mp4", "c\td.mp4", "e.mp4")]
    write_bad_files(CheckReport(2, 0, [(here[0], "broken"), (here[1], "empty")]), path)
    write_bad_files(CheckReport(2, 0, [(here[2], "missing"), ("/else/where.mp4", "")], good=here[:1]), path)
    assert path.read_text() == "c\td.mp4\tempty\ne.mp4\tmissing\n/else/where.mp4\t\n"
    assert read_bad_files(path) == {here[1]: "empty", here[2]: "missing", "/else/where.mp4": ""}
    path.write_text("only_a_name.mp4\n\n")
    assert read_bad_files(path) == {str(tmp_path / "only_a_name.mp4"): ""}
    with pytest.raises(InputError, match="cannot read"):
        read_bad_files(tmp_path / "none.txt")


def test_command_writes_the_list_that_data_sets_leave_out(folder, capsys):
    assert main(["check", "folder", str(folder), "--workers", "1"]) == 2
    output = capsys.readouterr()
    assert "5 videos checked" in output.out
    assert "2 bad" in output.out
    assert "bad_files.txt" in output.err
    assert len(create_dataset("folder", folder, "train")) == 3
    (folder / "bad_files.txt").unlink()


def test_the_root_may_be_spelled_in_any_way(tmp_path, monkeypatch):
    fill(tmp_path / "data" / "train", 2)
    bad = tmp_path / "data" / "train" / "still" / "1.mp4"
    good = bad.read_bytes()
    bad.write_bytes(b"no video")
    monkeypatch.chdir(tmp_path)
    check_dataset("folder", "data", "train", workers=1)
    assert len(create_dataset("folder", tmp_path / "data", "train")) == 3
    bad.write_bytes(good)
    _, listed = check_dataset("folder", tmp_path / "data", "train", workers=1, full=False)
    assert len(create_dataset("folder", "data", "train")) == 3  # a look at two frames takes nothing from the list
    check_dataset("folder", tmp_path / "data", "train", workers=1)
    assert listed.read_text() == ""
    assert len(create_dataset("folder", "data", "train")) == 4


def test_one_bad_part_leaves_the_others(tmp_path):
    render(tmp_path / "x.mp4", frames=50)
    path = tmp_path / "train.csv"
    path.write_text("path,label,start,end\nx.mp4,0,0,1\nx.mp4,1,1,2\nx.mp4,1,5,6\n")
    _, listed = check_dataset("csv", path, "train", workers=1)
    assert listed == tmp_path / "bad_files.txt"  # beside the file
    assert listed.read_text().startswith("x.mp4#t=5,6\t")
    assert [record.start for record in create_dataset("csv", path, "train").records] == [0, 1]


def test_sounds_inside_archives_are_checked(tmp_path):
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(3200))
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr("train/a/x.wav", sound.getvalue())
        archive.writestr("train/a/y.wav", b"no sound")
    report, _ = check_dataset("folder", tmp_path / "s.zip", "train", workers=1)
    assert [name for name, _ in report.bad] == [f"{tmp_path}/s.zip::train/a/y.wav"]
    assert len(create_dataset("folder", tmp_path / "s.zip", "train")) == 1
