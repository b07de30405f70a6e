"""Which frames are sampled: against the published samplers, and what must hold for any video."""

import doctest

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline import cases, check

from vidhub.errors import InputError
from vidhub.transforms import sampling
from vidhub.transforms.functional import sliding_box
from vidhub.transforms.sampling import (
    audio_rows,
    clips_around,
    dense_clips,
    even_clip_times,
    linspace_frames,
    random_clips,
    random_dense_clips,
    random_stratified_frames,
    random_uniform_frames,
    segment_frames,
    select_audio,
    stratified_frames,
    strided_clip_times,
    uniform_clips,
    uniform_frames,
)

DRAWS = 4000  # as many as the published ranges were taken from


def draws(sampler, *args, **kwargs):
    """(DRAWS, clips, frames)"""
    generator = torch.Generator().manual_seed(0)
    return np.stack([sampler(*args, **kwargs, generator=generator) for _ in range(DRAWS)])


def numbered_frames(clips, given, key="frame_inds"):
    return {key: clips.ravel() + given.get("start_index", 0)}


def clip_arguments(params, given, count="num_clips"):
    names = {"clip_len": "clip_len", "frame_interval": "stride", count: count, "out_of_bound_opt": "out_of_bounds"}
    return {"num_frames": given["total_frames"], **{new: params[old] for old, new in names.items() if old in params}}


def first_frames(clips, given):
    first = clips[:, :, 0] + given.get("start_index", 0)
    return {
        "first_frame_min": first.min(0),
        "first_frame_max": first.max(0),
        "distinct_first_frames": [len(np.unique(column)) for column in first.T],
        "sorted_always": (np.diff(first) >= 0).all(),
    }


def frame_range(clips, given):
    frames = clips[:, 0] + given.get("start_index", 0)
    return {"frame_min": frames.min(0), "frame_max": frames.max(0)}


def sample_frames_test(params, given):
    clips = uniform_clips(**clip_arguments(params, given), twice=params.get("twice_sample", False))
    return numbered_frames(clips, given)


def sample_frames_fps(params, given):
    rates = {"fps": given.get("avg_fps"), "target_fps": params["target_fps"]}
    clips = uniform_clips(**clip_arguments(params, given), twice=params.get("twice_sample", False), **rates)
    return numbered_frames(clips, given)


def sample_frames_train(params, given):
    tail = params.get("keep_tail_frames", False)
    clips = draws(random_clips, **clip_arguments(params, given), keep_tail=tail, padded_span=True)
    return first_frames(clips, given)


def dense_arguments(params, given):
    return {**clip_arguments(params, given), "window": params.get("sample_range", 64)}


def dense_test(params, given):
    positions = params.get("num_sample_positions", 10)
    return numbered_frames(dense_clips(**dense_arguments(params, given), num_positions=positions), given)


def dense_train(params, given):
    return first_frames(draws(random_dense_clips, **dense_arguments(params, given), skip_last=True), given)


def uniform_sample_test(params, given):
    return numbered_frames(uniform_frames(**clip_arguments(params, given)), given)


def uniform_sample_train(params, given):
    return frame_range(draws(random_uniform_frames, given["total_frames"], params["clip_len"]), given)


def skeleton_test(params, given):
    return numbered_frames(stratified_frames(**clip_arguments(params, given), seed=params.get("seed", 255)), given)


def skeleton_train(params, given):
    clips = draws(random_stratified_frames, given["total_frames"], params["clip_len"])
    widest = np.diff(clips[:, 0]).max(initial=0)
    return {**frame_range(clips, given), "consecutive_diff_max": widest}


def skeleton_and_video_test(params, given):
    lengths, num_clips, seed = params["clip_len"], params.get("num_clips", 1), params.get("seed", 255)
    return {
        f"{name}_inds": stratified_frames(given["total_frames"], length, num_clips, seed=seed).ravel()
        + given.get("start_index", 0)
        for name, length in lengths.items()
    }


def untrimmed(params, given):
    num_frames, interval = given["total_frames"], params["clip_interval"]
    centres = np.arange(interval // 2, num_frames, interval)
    clips = clips_around(centres, params["clip_len"], params.get("frame_interval", 1), stop=num_frames)
    return numbered_frames(clips, given)


def key_frame_arguments(params, given):
    """Published frames are counted from ``start_index`` twice: for the centre, and at the end."""
    centre = given["fps"] * (given["timestamp"] - given["timestamp_start"]) + given.get("start_index", 0)
    first, stop = given.get("shot_info") or (0, given["total_frames"])
    return {
        "centres": centre,
        "clip_len": params["clip_len"],
        "stride": params.get("frame_interval", 1),
        "first": first,
        "stop": stop,
    }


def key_frame_test(params, given):
    return numbered_frames(clips_around(**key_frame_arguments(params, given)), given)


def key_frame_train(params, given):
    return frame_range(draws(clips_around, **key_frame_arguments(params, given), jitter=True), given)


def audio(params, given):
    indices = np.reshape(given["frame_inds"], (given["num_clips"], -1))
    rows = audio_rows(indices, given["total_frames"], given["length"])
    numbered = torch.arange(1.0, given["length"] + 1)[:, None].expand(-1, 80)
    clips = select_audio(numbered, rows, params["fixed_length"])
    return {
        "first_row": clips[:, 0, 0].long() - 1,
        "valid_rows": (clips[:, :, 0] > 0).sum(1),
        "shape_if_80_bins": list(clips.shape),
    }


def clip_rows(times, copies=1):
    rows = [[start, end, i, copy, False] for i, (start, end) in enumerate(times) for copy in range(copies)]
    rows[-1][-1] = True
    return {"clips": rows}


def strided_times(params, given):
    return clip_rows(strided_clip_times(given["video_duration"], params["clip_duration"], params["stride"]))


def even_times(params, given):
    count, copies = params["clips_per_video"], params["augs_per_clip"]
    times = even_clip_times(given["video_duration"], params["clip_duration"], count, reach_end=False)
    return clip_rows(times, copies)


def linspace(params, given):
    return {"frame_inds": linspace_frames(given["num_frames"], params["num_samples"])[0]}


def sliding(params, given):
    x1, y1, x2, y2 = sliding_box((given["height"], given["width"]), params["size"], params["spatial_idx"])
    return {"top": y1, "left": x1, "shape": [y2 - y1, x2 - x1]}


OPS = {
    "SampleFrames.test": sample_frames_test,
    "SampleFrames.test_fps": sample_frames_fps,
    "SampleFrames.train_range": sample_frames_train,
    "DenseSampleFrames.test": dense_test,
    "DenseSampleFrames.train_range": dense_train,
    "UniformSample.test": uniform_sample_test,
    "UniformSample.train_range": uniform_sample_train,
    "UniformSampleFrames.test": skeleton_test,
    "UniformSampleFrames.train_range": skeleton_train,
    "MMUniformSampleFrames.test": skeleton_and_video_test,
    "UntrimmedSampleFrames": untrimmed,
    "SampleAVAFrames.test": key_frame_test,
    "SampleAVAFrames.train_range": key_frame_train,
    "AudioFeatureSelector": audio,
    "pytorchvideo.uniform_clips": strided_times,
    "pytorchvideo.constant_clips": even_times,
    "pytorchvideo.uniform_temporal_subsample": linspace,
    "pytorchvideo.uniform_crop": sliding,
}


@pytest.mark.parametrize(("op", "params", "given", "expected"), list(cases("sampling")))
def test_published(op, params, given, expected):
    if "error" in expected:
        with pytest.raises(InputError):
            OPS[op](params, given)
    else:
        check(OPS[op](params, given), expected)


def test_examples():
    assert doctest.testmod(sampling).failed == 0


frames = st.integers(1, 400)
lengths = st.integers(1, 40)
strides = st.integers(1, 9)
counts = st.integers(1, 12)
seeds = st.integers(0, 1000).map(lambda seed: torch.Generator().manual_seed(seed))


def valid(clips, shape, num_frames):
    assert clips.shape == shape
    assert clips.dtype == np.int64
    assert clips.min() >= 0
    assert clips.max() < num_frames


@given(frames, lengths, strides, counts, st.sampled_from(["loop", "repeat_last"]))
@settings(max_examples=60)
def test_uniform_clips(num_frames, length, stride, count, out_of_bounds):
    clips = uniform_clips(num_frames, length, stride, count, out_of_bounds=out_of_bounds)
    valid(clips, (count, length), num_frames)
    if num_frames > (length - 1) * stride:
        assert (np.diff(clips, axis=1) == stride).all()
        assert (np.diff(clips[:, 0]) >= 0).all()
        if length > 1 and count > 1:
            assert clips[0, 0] == 0
            assert clips[-1, -1] == num_frames - 1
    if out_of_bounds == "repeat_last":
        assert (np.diff(clips, axis=1) >= 0).all()


@given(frames, lengths, strides, counts, st.floats(5, 120), st.floats(5, 120), seeds)
@settings(max_examples=60)
def test_clips_at_a_rate(num_frames, length, stride, count, fps, target_fps, generator):
    rates = {"fps": fps, "target_fps": target_fps}
    valid(uniform_clips(num_frames, length, stride, count, **rates), (count, length), num_frames)
    valid(random_clips(num_frames, length, stride, count, **rates, generator=generator), (count, length), num_frames)
    clip = uniform_clips(100_000, length, stride, **rates)[0]
    assert abs(clip[-1] - clip[0] - (max(1, length * stride * fps / target_fps) - 1) * (length > 1)) <= 1


@given(frames, lengths, strides, counts, st.booleans(), st.booleans(), seeds)
@settings(max_examples=60)
def test_random_clips(num_frames, length, stride, count, keep_tail, padded, generator):
    clips = random_clips(
        num_frames, length, stride, count, keep_tail=keep_tail, padded_span=padded, generator=generator
    )
    valid(clips, (count, length), num_frames)
    if not keep_tail:
        return  # MMAction2's rounding can put the last clips of a very short video back to its start
    assert (np.diff(clips[:, 0]) >= 0).all()
    if num_frames > (length - 1) * stride + padded * (stride - 1):
        assert (np.diff(clips, axis=1) == stride).all()


def test_random_clips_reach_every_start():
    first = draws(random_clips, 20, 4, 2)[:, 0, 0]
    assert np.unique(first).tolist() == list(range(14))  # 13 + 3 * 2 is the last frame
    assert np.bincount(first).min() > DRAWS / 14 * 0.7
    first = draws(random_dense_clips, 70, 1, num_clips=8)[:, 0, 0]
    assert np.unique(first).tolist() == list(range(7))


@given(frames, counts, strides, counts, st.integers(1, 100), counts, seeds)
@settings(max_examples=60)
def test_dense_clips(num_frames, length, stride, count, window, positions, generator):
    clips = dense_clips(num_frames, length, stride, count, window=window, num_positions=positions)
    valid(clips, (positions * count, length), num_frames)
    clips = random_dense_clips(num_frames, length, stride, count, window=window, generator=generator)
    valid(clips, (count, length), num_frames)


@given(frames, lengths, counts, seeds)
@settings(max_examples=60)
def test_frames_over_the_whole_video(num_frames, length, count, generator):
    for clips in (segment_frames(num_frames, length, count), uniform_frames(num_frames, length, count)):
        valid(clips, (count, length), num_frames)
        assert (np.diff(clips, axis=1) >= 0).all()
    for clips in (
        random_uniform_frames(num_frames, length, generator=generator),
        linspace_frames(num_frames, length),
    ):
        valid(clips, (1, length), num_frames)
        assert (np.diff(clips) >= 0).all()
    for clips in (
        stratified_frames(num_frames, length, count),
        random_stratified_frames(num_frames, length, count, generator=generator),
    ):
        valid(clips, (count, length), num_frames)
        assert num_frames < length or (np.diff(clips, axis=1) > 0).all()


@given(st.lists(st.floats(0, 500), min_size=1, max_size=5), lengths, strides, frames, st.booleans(), seeds)
@settings(max_examples=60)
def test_clips_around(centres, length, stride, stop, jitter, generator):
    clips = clips_around(centres, length, stride, stop=stop, jitter=jitter, generator=generator)
    valid(clips, (len(centres), length), stop)
    assert (np.diff(clips, axis=1) >= -stride * jitter).all()


@given(st.floats(0.1, 100), st.floats(0.1, 20), st.floats(0.1, 20), counts)
@settings(max_examples=60)
def test_clip_times(duration, length, stride, count):
    strided, even = strided_clip_times(duration, length, stride), even_clip_times(duration, length, count)
    assert len(even) == count
    for times in (strided, even):
        assert times[0, 0] == 0
        np.testing.assert_allclose(times[:, 1] - times[:, 0], length)
        assert times[-1, 1] <= max(duration, length) + 1e-5
    assert strided[-1, 1] + stride > duration


def test_wrong_values():
    for call in (
        lambda: uniform_clips(0, 8),
        lambda: uniform_clips(10, 8, stride=0),
        lambda: uniform_clips(10, 8, twice=True),
        lambda: uniform_clips(10, 8, target_fps=-1),
        lambda: uniform_clips(10, 8, out_of_bounds="stop"),
        lambda: segment_frames(10, 0),
        lambda: clips_around([], 8, stop=10),
        lambda: clips_around(3, 8, first=5, stop=5),
        lambda: strided_clip_times(10, 2, 0),
    ):
        with pytest.raises(InputError):
            call()
