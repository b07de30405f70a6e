"""The fine-tuning example, run as users run it, on two kinds of moving pattern."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clips import fill, render_stripes

import vidhub

SCRIPT = Path(__file__).parents[1] / "examples" / "finetune.py"


def finetune(data: Path, out: Path, *options: str) -> str:
    tiny = ["--kwargs", "depth=1.0", "--frames", "4", "--stride", "2", "--size", "32", "--cache", "40"]
    brief = ["--epochs", "2", "--batch-size", "4", "--workers", "0", "--device", "cpu", "--out", str(out)]
    run = subprocess.run(
        [sys.executable, SCRIPT, data, *tiny, *brief, *options], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_what_it_saves_can_be_loaded_and_predicts(tmp_path):
    fill(tmp_path / "data" / "train", 4)
    fill(tmp_path / "data" / "val", 1)
    shutil.rmtree(tmp_path / "data" / "val" / "moving")
    output = finetune(tmp_path / "data", tmp_path / "run")
    assert "8 training and 1 validation videos of 2 classes" in output
    assert "epoch 2: val top-1" in output

    model = vidhub.create_model(f"local-dir:{tmp_path / 'run'}")
    assert model.labels == ("moving", "still")
    config = model.data_config
    assert (config.num_frames, config.stride, config.size, config.resize, config.views) == (4, 2, 32, 36, (3, 1))
    video = tmp_path / "data" / "val" / "still" / "0.mp4"
    prediction = vidhub.predict(model, video, views="test")
    assert sorted(prediction.labels) == ["moving", "still"]
    assert sum(prediction.scores) == pytest.approx(1)


def test_sets_videos_aside_and_skips_unreadable_ones(tmp_path):
    fill(tmp_path / "data", 4)
    (tmp_path / "data" / "still" / "broken.mp4").write_bytes(b"no video")
    output = finetune(tmp_path / "data", tmp_path / "run", "--val-split", "0.25", "--epochs", "1", "--cache", "0")
    assert "skipped: " in output
    assert "broken.mp4" in output
    assert "6 training and 2 validation videos of 2 classes" in output


def test_a_single_video_is_too_little(tmp_path):
    render_stripes(tmp_path / "still" / "0.mp4", 0, 0)
    run = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, timeout=120)
    assert run.returncode == 1
    assert "two videos or more" in run.stderr
    assert "Traceback" not in run.stderr
