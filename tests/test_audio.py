"""Log-mel spectrograms against published figures, the sound of files, audio networks from file to label."""

import io
import json
import os
import wave as wave_file
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from media import render
from pipeline import cases, check

import vidhub
from vidhub.cli import main
from vidhub.datasets.audio_io import AudioReader
from vidhub.datasets.catalog import check_dataset
from vidhub.datasets.dataset import VideoDataset, open_sound
from vidhub.datasets.records import VideoRecord
from vidhub.errors import InputError, VideoError
from vidhub.transforms import audio
from vidhub.transforms.sampling import audio_rows, select_audio
from vidhub.weights.types import AudioConfig

RATE = 16_000


def make_wave(kind, samples, sample_rate, amplitude=1.0, seed=0, frequencies=(), f0=0, slope=0, at=0):
    t = np.arange(samples) / sample_rate
    values = {
        "noise": lambda: np.random.RandomState(seed).standard_normal(samples) * amplitude,
        "sine": lambda: amplitude * sum(np.sin(2 * np.pi * f * t) for f in frequencies),
        "chirp": lambda: amplitude * np.sin(2 * np.pi * (f0 * t + slope * t**2 / 2)),
        "silence": lambda: np.zeros(samples),
        "click": lambda: amplitude * (np.arange(samples) == at),
    }[kind]()
    return torch.from_numpy(values.astype(np.float32))


def config(params):
    names = ("sample_rate", "num_mels", "fmin", "fmax", "fft_size", "hop_size")
    return AudioConfig(**{name: params[name] for name in names if name in params})


@pytest.mark.parametrize(("op", "params", "given", "expected"), list(cases("audio")))
def test_published_figures(op, params, given, expected):
    sound = make_wave(**given["wave"]) if "wave" in given else None
    tolerance = {"rtol": 0, "atol": 1e-4}
    if op == "mel_filter_bank":
        arguments = (params["sample_rate"], params["n_fft"], params["n_mels"], params["fmin"], params["fmax"])
        check({"bank": audio.mel_filter_bank(*arguments)}, expected, rtol=0, atol=1e-6)
    elif op == "analysis_window":
        check({"window": audio.analysis_window(params["fft_size"], params["hop_size"])}, expected)
    elif op == "audio_normalize":
        check({"first_16": audio.normalize_rms(sound, params["desired_rms"])[:16]}, expected, rtol=1e-5, atol=1e-7)
    elif op == "mel_feature":
        check({"mel": audio.log_mel(sound, config(params))}, expected, **tolerance)
    elif op == "magnitude_spectrogram":
        magnitude = audio.magnitude_spectrogram(audio.normalize_rms(sound), params["fft_size"], params["hop_size"])
        assert [1, *magnitude.shape] == list(expected["shape"])
        top = np.max(expected["magnitude"])
        check({"magnitude": magnitude[None, ::4] / top}, {"magnitude": expected["magnitude"] / top}, **tolerance)
    elif op == "power_mel":
        window, step = (round(params[name] * RATE / 1000) for name in ("window_ms", "step_ms"))
        mel = audio.power_mel(sound, params["sample_rate"], window, step, params["n_mels"])
        assert list(mel.shape) == list(expected["shape"])
        top = np.max(expected["mel"])
        check({"mel": mel[::2] / top}, {"mel": expected["mel"] / top}, **tolerance)
    elif op == "test_wav":
        file = Path(os.environ["VIDHUB_REFERENCE"], "pipeline", given["file"])
        sound = AudioReader(file).waveform(params["sample_rate"])
        assert len(sound) == expected["samples_at_16k"]
        scaled = audio.normalize_rms(sound)
        check({"waveform_16k_every_100th": scaled[::100]}, expected, rtol=0, atol=1e-5)
        mel = audio.log_mel(sound, config(params))
        assert list(mel.shape) == list(expected["shape"])
        check({"mel": mel[::4]}, expected, rtol=0, atol=2e-3)
    elif op == "waveform_clips":
        frames = np.array(given["frame_inds"]).reshape(given["num_clips"], -1)
        rows = audio_rows(frames, given["total_frames"], given["length"])
        clips = select_audio(torch.arange(given["length"]) + 1, rows, params["fixed_length"])
        actual = {"first_sample": clips[:, 0] - 1, "valid_samples": (clips > 0).sum(1), "shape": list(clips.shape)}
        check(actual, expected)
    else:
        pytest.fail(f"unknown operation {op}")


def write_wav(path, samples, rate):
    """int16 (n, channels)."""
    with wave_file.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def tone(tmp_path_factory):
    """Three seconds of 440 Hz, stereo at 44.1 kHz; the right channel is half as loud."""
    t = np.arange(3 * 44_100) / 44_100
    left = 20_000 * np.sin(2 * np.pi * 440 * t)
    return write_wav(tmp_path_factory.mktemp("sound") / "tone.wav", np.stack((left, left / 2), 1), 44_100)


def test_windows_add_up_to_one():
    window = audio.analysis_window(512, 256)
    torch.testing.assert_close(window[:256] ** 2 + window[256:] ** 2, torch.ones(256, dtype=torch.float64))


def test_waveform_is_the_mean_of_the_channels_at_the_rate_asked_for(tone):
    sound = AudioReader(tone).waveform(RATE)
    assert abs(len(sound) - 3 * RATE) <= 64
    t = torch.arange(len(sound)) / RATE
    middle = slice(1000, -1000)
    expected = 15_000 / 32_768 * torch.sin(2 * torch.pi * 440 * t)
    torch.testing.assert_close(sound[middle], expected[middle].float(), atol=2e-2, rtol=0)


def test_sources_and_parts_give_the_same_sound(tone):
    whole = AudioReader(tone).waveform(RATE)
    assert torch.equal(AudioReader(tone.read_bytes()).waveform(RATE), whole)
    with tone.open("rb") as file:
        assert torch.equal(AudioReader(file).waveform(RATE), whole)
        file.seek(5)  # wherever it stands
        assert torch.equal(AudioReader(file).waveform(RATE), whole)
    reader = AudioReader(tone, start=1.0, end=1.5)
    assert torch.equal(reader.waveform(RATE), whole[RATE : RATE + RATE // 2])
    assert torch.equal(reader.waveform(RATE), whole[RATE : RATE + RATE // 2])  # a second time


@pytest.mark.parametrize("sample_rate", [RATE, 48_000])
def test_a_sound_track_may_change_its_rate_and_layout(sample_rate):
    def second(rate, layout):
        file, tone = io.BytesIO(), np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)
        with av.open(file, "w", format="adts") as container:
            stream = container.add_stream("aac", rate=rate, layout=layout)
            frame = av.AudioFrame.from_ndarray(np.stack([tone] * stream.layout.nb_channels), "fltp", layout)
            frame.sample_rate = rate
            container.mux([*stream.encode(frame), *stream.encode(None)])
        return file.getvalue()

    sound = AudioReader(second(48_000, "mono") + second(32_000, "stereo")).waveform(sample_rate)
    assert len(sound) == pytest.approx(2 * sample_rate, rel=0.06)  # the encoder fills up its last packets
    for part in sound.chunk(2):
        spectrum = torch.fft.rfft(part[sample_rate // 4 : 3 * sample_rate // 4]).abs()
        assert spectrum.argmax() == 220  # 440 Hz in half a second


@pytest.mark.parametrize("channels", [1, 3, 8, 9, 16])
def test_any_number_of_channels_is_averaged(channels):
    values = np.random.default_rng(0).integers(-3000, 3000, (2000, channels), dtype=np.int16)
    file = io.BytesIO()
    with wave_file.open(file, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(values.tobytes())
    expected = values.mean(1) / 2**15
    np.testing.assert_allclose(AudioReader(file.getvalue()).waveform(RATE), expected, atol=1e-6)


def test_names_may_hold_colons(tone, tmp_path, monkeypatch):
    (tmp_path / "take:1.wav").write_bytes(tone.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert len(AudioReader("take:1.wav", end=1.0).waveform(RATE)) == RATE


def test_what_is_no_sound_is_told_in_one_sentence(tmp_path, tone):
    silent = render(tmp_path / "silent.mp4", frames=5)
    with pytest.raises(VideoError, match="has no sound track"):
        AudioReader(silent)
    (tmp_path / "text.wav").write_text("not sound")
    with pytest.raises(VideoError, match="cannot be read"):
        AudioReader(tmp_path / "text.wav")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        AudioReader(tmp_path / "missing.wav")
    with pytest.raises(InputError, match="ndarray"):
        AudioReader(np.zeros(5))
    with pytest.raises(VideoError, match="from 0 to 0 s is empty"):
        AudioReader(tone, end=0.0)
    with pytest.raises(VideoError, match="ends before"):
        AudioReader(tone, start=5.0).waveform(RATE)


def test_clips_of_a_spectrogram():
    spectrogram = torch.rand(400, 80)
    middle = vidhub.create_transform(AudioConfig())(spectrogram)
    assert torch.equal(middle, spectrogram[None, None, 136:264])
    three = vidhub.create_transform(AudioConfig(), views=3)(spectrogram)
    assert torch.equal(three[:, 0, 0], spectrogram[[0, 136, 272]])
    short = vidhub.create_transform(AudioConfig())(spectrogram[:100])
    assert torch.equal(short[0, 0, :100], spectrogram[:100])
    assert not short[0, 0, 100:].any()
    generator = torch.Generator().manual_seed(0)
    drawn = vidhub.create_transform(AudioConfig(), training=True)(spectrogram, generator)
    assert drawn.shape == (1, 128, 80)
    with pytest.raises(InputError, match="spectrograms must be"):
        vidhub.create_transform(AudioConfig())(torch.rand(400, 64))
    with pytest.raises(InputError, match="views of sound"):
        vidhub.create_transform(AudioConfig(), views=(2, 3))


def test_predict_hears_a_sound_file_and_a_videos_sound_track(tmp_path, tone):
    torch.manual_seed(0)
    model = vidhub.create_model("tsn_r18_audio", num_classes=3)
    out = vidhub.predict(model, tone, topk=3, device="cpu")
    with torch.inference_mode():
        mel = vidhub.create_transform(model.data_config).load(AudioReader(tone))
        expected = model(mel).softmax(-1)[0]
    assert out.scores == pytest.approx(expected.sort(descending=True).values.tolist(), rel=1e-5)
    video = render(tmp_path / "sound.mp4", frames=30, sound=1.2)
    assert len(vidhub.predict(model, video, device="cpu").scores) == 3


def test_a_data_set_of_videos_gives_sound_to_an_audio_transform(tone):
    records = [VideoRecord(str(tone), 1), VideoRecord(str(tone), 0, start=0.5, end=1.0)]
    data = VideoDataset(records, vidhub.create_transform(AudioConfig(), training=True), num_classes=2)
    assert [(clip.shape, target) for clip, target in data] == [((1, 128, 80), 1), ((1, 128, 80), 0)]


def test_lists_of_sounds_and_stored_spectrograms_are_trained_on_and_measured(tmp_path, tone):
    mel = vidhub.create_transform(AudioConfig()).load(AudioReader(tone))
    whole = audio.log_mel(AudioReader(tone).waveform(RATE), AudioConfig())
    np.save(tmp_path / "tone.npy", whole.numpy())
    for split in ("train", "val"):
        (tmp_path / f"{split}.txt").write_text(f"{tone} 75 0\ntone.npy 75 1\n")
    data = vidhub.create_dataset("audio_list", tmp_path, "val", vidhub.create_transform(AudioConfig()))
    assert all(torch.equal(clip, mel) for clip, _ in data)
    assert check_dataset("audio_list", tmp_path, "val", workers=1)[0].bad == []

    (tmp_path / "classes.txt").write_text("heard\nstored\n")
    run = {"model": "tsn_r18_audio", "dataset": "audio_list", "root": str(tmp_path), "out": str(tmp_path / "run")}
    vidhub.train(**run, epochs=1, batch_size=2, workers=0, device="cpu", tensorboard=False)
    result = vidhub.evaluate(f"local-dir:{tmp_path / 'run'}", "audio_list", tmp_path, workers=0, device="cpu")
    assert result.metrics["top1"] == 50  # the same sound twice


def test_what_is_no_spectrogram_is_told(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros(3))
    np.save(tmp_path / "nan.npy", np.full((3, 80), np.nan))
    (tmp_path / "text.npy").write_text("no array")
    for name, reason in {"flat": "must hold a spectrogram", "nan": "holds NaN", "text": "no NumPy file"}.items():
        with pytest.raises(VideoError, match=reason):
            open_sound(VideoRecord(str(tmp_path / f"{name}.npy")))


def test_model_keeps_its_kind_of_configuration(tmp_path):
    model = vidhub.create_model("tsn_r18_audio", num_classes=2)
    vidhub.save_checkpoint(model, tmp_path)
    other = vidhub.create_model(f"local-dir:{tmp_path}")
    assert other.data_config == model.data_config == AudioConfig()
    assert "log-mel" in (tmp_path / "README.md").read_text()
    with pytest.raises(InputError, match="expected spectrograms"):
        model(torch.zeros(1, 3, 8, 32, 32))


def test_sound_is_checked_trained_and_measured_like_video_and_fused_with_it(tmp_path, capsys):
    rng, root = np.random.default_rng(0), tmp_path / "data"
    for split, count in (("train", 4), ("val", 2)):
        for name, pitch in (("low", 300), ("high", 2500)):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                tone = np.sin(2 * np.pi * pitch * (1 + 0.05 * rng.random()) * np.arange(RATE) / RATE)
                samples = 10_000 * tone[:, None] + 500 * rng.standard_normal((RATE, 1))
                write_wav(root / split / name / f"{i}.wav", samples, RATE)
    (root / "val" / "low" / "broken.wav").write_bytes(b"RIFF" + bytes(100))

    assert main(["check", "folder", str(root), "--workers", "1"]) == 2
    assert "13 videos checked, 0 frames decoded: 1 bad" in capsys.readouterr().out

    options = ["model=tsn_r18_audio", f"root={root}", f"out={tmp_path / 'run'}", "epochs=2", "batch_size=4"]
    assert main(["train", "--set", *options, "workers=0", "device=cpu", "tensorboard=false"]) == 0
    model = f"local-dir:{tmp_path / 'run'}"
    scores = tmp_path / "scores"
    command = ["eval", model, "folder", str(root), "--out", str(scores), "--workers", "0", "--device", "cpu"]
    assert main(command) == 0
    assert (scores / "report.html").exists()
    one = vidhub.evaluate(model, "folder", str(root), workers=0, device="cpu")
    capsys.readouterr()
    assert main(["eval", "--fuse", str(scores), str(scores), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == one.metrics["top1"]
