"""Geometry and pixels: against the published transforms, and what must hold for any picture, box and crop."""

import doctest
import random

import numpy as np
import pytest
import torch
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline import cases, check

from vidhub.errors import InputError
from vidhub.transforms import functional
from vidhub.transforms.functional import (
    center_box,
    center_crop,
    color_jitter,
    crop,
    crop_boxes,
    crop_keypoints,
    crop_region,
    fit_size,
    fitting_size,
    five_boxes,
    flip,
    flip_boxes,
    flip_keypoints,
    multi_scale_boxes,
    normalize,
    original_boxes,
    rand_augment,
    random_box,
    random_erasing,
    random_resized_box,
    resize,
    scale_points,
    ten_crop,
    three_boxes,
    three_crop,
    to_float,
)

WHOLE = (0.0, 0.0, 1.0, 1.0)


def hw(size_wh):
    return size_wh if isinstance(size_wh, int) else (size_wh[1], size_wh[0])


def resized(size, scale, keep_ratio=True):
    """The size after a published resize, and its factors (x, y)."""
    if not keep_ratio:
        new = hw(scale)
    elif isinstance(scale, (int, float)):
        new = fit_size(size, scale=scale)
    else:
        short, long = sorted(scale) if min(scale) > 0 else (max(scale), None)
        new = fit_size(size, short=short, long=None if long == float("inf") else long)
    return new, np.float32([new[1] / size[1], new[0] / size[0]])


def picture(image):
    return torch.from_numpy(np.asarray(image)).movedim(-1, -3)


def resize_size(params, given):
    size, factors = resized(tuple(given["img_shape"]), params["scale"], params["keep_ratio"])
    return {"img_shape": size, "scale_factor": factors}


def resize_twice(params, given):
    size, first = resized(tuple(given["img_shape"]), params["first"], -1 in params["first"])
    size, second = resized(size, params["second"], -1 in params["second"])
    return {"img_shape": size, "scale_factor": first * second}


def resize_pixels(params, given):
    image = picture(given["image"])
    size, _ = resized(tuple(image.shape[-2:]), params["scale"], params["keep_ratio"])
    return {"image": resize(image, size, params["interpolation"]).movedim(-3, -1)}


def center(params, given):
    size = tuple(given["img_shape"])
    box = center_box(size, hw(params["crop_size"]))
    shape = (box[3] - box[1], box[2] - box[0])
    return {"crop_bbox": box, "img_shape": shape, "crop_quadruple": crop_region(WHOLE, size, box)}


def center_chain(params, given):
    size, region = tuple(given["img_shape"]), WHOLE
    for name, value in params["steps"]:
        if name == "Resize":
            size, _ = resized(size, value, -1 in value)
        else:
            box = center_box(size, hw(value))
            region = crop_region(region, size, box)
            size = (box[3] - box[1], box[2] - box[0])
    return {"crop_bbox": box, "img_shape": size, "crop_quadruple": region}


def crop_order(views, size, num_frames):
    """The published list of views, from boxes and the pixels of a clip whose pixels say where they come from."""
    boxes, flips, clips = zip(*views, strict=True)
    order = []
    for box, mirrored, clip in zip(boxes, flips, clips, strict=True):
        corner = clip[:, :, 0, -1 if mirrored else 0]
        order += [
            {"frame": int(t), "left": int(x), "top": int(y), "flipped": mirrored}
            for t, (y, x) in enumerate(corner.tolist())
        ]
        assert corner[0].tolist() == [box[1], box[0]]
    return {
        "crop_bbox": [box for box in boxes for _ in range(num_frames)],
        "img_shape": list(clips[0].shape[-2:]),
        "order": order,
    }


def coordinates(size, num_frames):
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return torch.stack([y, x]).expand(num_frames, -1, -1, -1)


def three_crops(params, given):
    size, crop_size, num_frames = tuple(given["img_shape"]), hw(params["crop_size"]), given["num_frames"]
    clips = three_crop(coordinates(size, num_frames), crop_size)
    views = [(box, False, clip) for box, clip in zip(three_boxes(size, crop_size), clips, strict=True)]
    return crop_order(views, size, num_frames)


def ten_crops(params, given):
    size, crop_size, num_frames = tuple(given["img_shape"]), hw(params["crop_size"]), given["num_frames"]
    boxes = [(box, mirrored) for box in five_boxes(size, crop_size) for mirrored in (False, True)]
    clips = ten_crop(coordinates(size, num_frames), crop_size)
    return crop_order([(*box, clip) for box, clip in zip(boxes, clips, strict=True)], size, num_frames)


def flip_images(params, given):
    vertical = params["direction"] == "vertical"
    images = torch.tensor(given["imgs"], dtype=torch.uint8)
    if given["modality"] == "Flow":  # single-channel images x, y, x, y, ...: the channels of one
        return {"imgs": flip(images, vertical=vertical, flow=True)}
    return {"imgs": flip(images.movedim(-1, -3), vertical=vertical).movedim(-3, -1)}


def flip_joints(params, given):
    keypoints, scores = torch.tensor(given["keypoint"]), given["keypoint_score"]
    scores = None if scores is None else torch.tensor(scores)
    sides = (params["left_kp"] or (), params["right_kp"] or ())
    keypoints, scores = flip_keypoints(keypoints, given["img_shape"][1], *sides, scores)
    return {"keypoint": keypoints} if scores is None else {"keypoint": keypoints, "keypoint_score": scores}


def flip_label(params, given):
    names = {int(k): v for k, v in params["flip_label_map"].items()}
    return {"label": names.get(given["label"], given["label"])}


def follow_boxes(params, given, expected):
    """The drawn crop of random steps is the expected one."""
    size, region, factors, box = tuple(given["img_shape"]), WHOLE, None, None
    boxes = {key: given[key] for key in ("gt_bboxes", "proposals") if given[key] is not None}
    boxes = {key: torch.tensor(value).reshape(-1, 4) for key, value in boxes.items()}
    for name, value in params["steps"]:
        if name == "Resize":
            size, step = resized(size, value, -1 in value)
            factors = step if factors is None else factors * step
            boxes = {key: scale_points(value, tuple(step)) for key, value in boxes.items()}
        elif name == "Flip":
            boxes = {key: flip_boxes(value, size[1]) for key, value in boxes.items()}
        else:
            box = center_box(size, hw(value)) if name == "CenterCrop" else expected["crop_bbox"]
            boxes = {key: crop_boxes(value, box, last_pixel=True) for key, value in boxes.items()}
            region = crop_region(region, size, box)
            size = (box[3] - box[1], box[2] - box[0])
    out = {**{key: value.tolist() for key, value in boxes.items()}, "img_shape": size}
    if factors is not None:
        out["scale_factor"] = factors
    return out if box is None else {**out, "crop_bbox": box, "crop_quadruple": region}


def relative_boxes(params, given):
    height, width = given["img_shape"]
    keys = [key for key in ("gt_bboxes", "proposals") if given.get(key) is not None]
    return {key: scale_points(torch.tensor(given[key]), (width, height)) for key in keys}


def random_crop_range(params, given):
    generator = torch.Generator().manual_seed(0)
    boxes = [
        random_box(tuple(given["img_shape"]), params["size"], skip_last=True, generator=generator) for _ in range(4000)
    ]
    left, top, _, _ = zip(*boxes, strict=True)
    return {"left_min": min(left), "left_max": max(left), "top_min": min(top), "top_max": max(top)}


def multi_scale(params, given, expected):
    sizes = multi_scale_boxes(
        tuple(given["img_shape"]),
        hw(params["input_size"]),
        params["scales"],
        max_gap=params["max_wh_scale_gap"],
        positions=params["num_fixed_crops"],
        allow_outside=True,
    )
    for boxes, wanted in zip(sizes, expected["per_candidate"], strict=True):
        check({"size_wh": [boxes[0][2] - boxes[0][0], boxes[0][3] - boxes[0][1]]}, wanted)
        check({"offsets_xy": [box[:2] for box in boxes]}, wanted)
    return {}


def random_resized(params, given):
    height, width = given["img_shape"]
    draws, corner = np.random.RandomState(given["np_random_seed"]), random.Random(given["python_random_seed"])
    low, high = np.log(params["aspect_ratio_range"])
    ratios = np.exp(draws.uniform(low, high, params["max_attempts"]))
    size = fitting_size((height, width), draws.uniform(*params["area_range"], params["max_attempts"]), ratios)
    if size is None:
        return {"crop_bbox": center_box((height, width), min(height, width))}
    x, y = corner.randint(0, width - size[1]), corner.randint(0, height - size[0])
    return {"crop_bbox": [x, y, x + size[1], y + size[0]]}


def lazy(params, given):
    """Sizes and crops are followed on paper: one crop of the original, one resize, one flip."""
    image = picture(given["image"])
    original = size = tuple(image.shape[-2:])
    region, mirrored = WHOLE, None
    for name, value in params["steps"]:
        if name == "Resize":
            size, _ = resized(size, value, -1 in value)
        elif name == "CenterCrop":
            box = center_box(size, hw(value))
            region = crop_region(region, size, box)
            size = (box[3] - box[1], box[2] - box[0])
        else:
            mirrored = value
    (x, y, w, h), (height, width) = region, original
    box = (x * width, y * height, (x + w) * width, (y + h) * height)
    image = resize(crop(image, tuple(round(v) for v in box)), size)
    if mirrored:
        image = flip(image, vertical=mirrored == "vertical")
    return {"crop_bbox": box, "image": image.movedim(-3, -1)}


def normalized(params, given):
    batch = torch.stack([torch.from_numpy(np.asarray(sample)) for sample in given["samples"]])
    layout = params["format_shape"]
    if layout == "MIX2d3d":
        layout = "NCHW" if given["samples"][0].ndim == 4 else "NCTHW"
    dim = {"NCHW": -3, "NCTHW": -4}[layout]
    if params["mean"] is None:
        return {"batch": batch.float()}
    if params["to_rgb"]:
        batch = batch.flip(dim)
    repeats = batch.shape[dim] // len(params["mean"])
    return {"batch": normalize(batch, params["mean"] * repeats, params["std"] * repeats, channel_dim=dim)}


def format_shape(params, given):
    frames = np.arange(np.prod(given["shape"])).reshape(given["shape"])
    clips, length = given["num_clips"], given["clip_len"]
    layouts = {
        "NCTHW": "(v t) h w c -> v c t h w",
        "NCTHW_Heatmap": "(v t) c h w -> v c t h w",
        "NCHW": "t h w c -> t c h w",
        "NCHW_Flow": "(v t) h w c -> v (t c) h w",
        "NPTCHW": "(v t) h w c -> v t c h w",
    }
    layout = params["input_format"]
    if given["modality"] == "Flow" and layout == "NCHW":
        layout = "NCHW_Flow"
    known = {"t": clips * length if layout == "NPTCHW" else length} if "v t" in layouts[layout] else {}
    out = rearrange(frames, layouts[layout], **known)
    if params.get("collapse"):
        out = out[0]
    return {"shape": out.shape, "values": out}


def format_audio_shape(params, given):
    return {"shape": rearrange(np.zeros(given["shape"]), "v t f -> v 1 t f").shape}


def detections(params, given, expected):
    """Boxes are undone by `original_boxes`; which of them are reported is left to the network's own code."""
    boxes = torch.tensor(given["boxes"]).reshape(-1, 4)
    region = given["crop_quadruple"] or WHOLE
    boxes = original_boxes(boxes, tuple(given["img_shape"]), region, flipped=given["flip"], last_pixel=True)
    logits = torch.tensor(given["cls_score"]).reshape(-1, params["num_classes"])
    scores = logits.sigmoid() if params["multilabel"] else logits.softmax(-1)
    check({"bboxes": boxes.tolist(), "scores": scores.tolist()}, expected)
    for key, wanted in expected.items():
        if key.startswith("detections_thr_"):
            threshold = float(key.rsplit("_", 1)[1])
            best = scores[:, 1:].argmax(-1) + 1
            for k, rows in enumerate(wanted, start=1):
                keep = scores[:, k] > threshold if threshold >= 0 else best == k
                found = torch.cat([boxes[keep], scores[keep, k, None]], dim=1)
                check({"rows": found}, {"rows": np.reshape(rows, (-1, 5))})
    return {}


OPS = {
    "Resize.size": resize_size,
    "Resize.twice": resize_twice,
    "CenterCrop": center,
    "CenterCrop.chain": center_chain,
    "Flip.images": flip_images,
    "Flip.keypoints": flip_joints,
    "Flip.label": flip_label,
    "boxes.relative_to_pixels": relative_boxes,
    "RandomCrop.range": random_crop_range,
    "RandomResizedCrop.box": random_resized,
    "FormatShape": format_shape,
    "FormatAudioShape": format_audio_shape,
}


@pytest.mark.parametrize(("op", "params", "given", "expected"), list(cases("geometry")))
def test_published(op, params, given, expected):
    if op == "Resize.pixels":
        check(resize_pixels(params, given), expected, atol=1)
    elif op == "lazy":
        out = lazy(params, given)
        check({"crop_bbox": out["crop_bbox"]}, expected["lazy"])
        check({"image": out["image"]}, expected, atol=1)
    elif op == "normalize":
        check(normalized(params, given), expected, rtol=1e-5, atol=1e-6)
    elif op in ("ThreeCrop", "TenCrop"):
        out = (three_crops if op == "ThreeCrop" else ten_crops)(params, given)
        assert out.pop("order") == expected["order"]
        check(out, expected)
    elif op in ("boxes.chain", "MultiScaleCrop.candidates", "detection.postprocess"):
        steps = {"boxes.chain": follow_boxes, "detection.postprocess": detections}.get(op, multi_scale)
        check(steps(params, given, expected), expected)
    else:
        check(OPS[op](params, given), expected)


def test_examples():
    assert doctest.testmod(functional).failed == 0


sides = st.integers(1, 60)
sizes = st.tuples(sides, sides)
seeds = st.integers(0, 1000).map(lambda seed: torch.Generator().manual_seed(seed))


def inside(box, size):
    x1, y1, x2, y2 = box
    return 0 <= x1 < x2 <= size[1] and 0 <= y1 < y2 <= size[0]


@given(sizes, sizes, seeds)
@settings(max_examples=60)
def test_boxes_of_crops(size, part, generator):
    part = (min(size[0], part[0]), min(size[1], part[1]))
    boxes = [center_box(size, part), *five_boxes(size, part), random_box(size, part, generator=generator)]
    boxes += three_boxes(size, (size[0], part[1])) + three_boxes(size, (part[0], size[1]))
    assert all(inside(box, size) for box in boxes)
    assert all((y2 - y1, x2 - x1) == part for x1, y1, x2, y2 in boxes[:7])
    assert inside(random_resized_box(size, generator=generator), size)
    scales = multi_scale_boxes(size, part, [1, 0.8], positions=13) if min(size) > 1 else []
    assert all(inside(box, size) for boxes in scales for box in boxes)


@given(sizes, st.integers(1, 300), st.integers(1, 300))
@settings(max_examples=60)
def test_fit_size(size, short, long):
    assert min(fit_size(size, short=short)) == short
    assert max(fit_size(size, long=long)) == long
    both = fit_size(size, short=short, long=long)
    assert min(both) <= short
    assert max(both) <= long
    assert fit_size(size) == size


@given(sizes, sizes, st.booleans())
@settings(max_examples=40)
def test_resize_keeps_dtype_range_and_mean(old, new, floats):
    video = torch.randint(0, 256, (2, 3, *old), dtype=torch.uint8)
    if floats:
        video = to_float(video)
    for mode in ("bilinear", "nearest", "bicubic"):
        out = resize(video, new, mode)
        assert out.shape == (2, 3, *new)
        assert out.dtype == video.dtype
    out = resize(video, new)
    assert out.min() >= video.min() - 1e-6
    assert out.max() <= video.max() + 1e-6
    smaller = (min(old[0], new[0]), min(old[1], new[1]))
    mean = resize(video.double(), smaller, "area").mean()
    assert torch.allclose(mean, video.double().mean())


def test_resize_in_parts_is_resize_of_each():
    video = torch.randint(0, 256, (3, 17, 3, 12, 20), dtype=torch.uint8)
    whole = resize(video, (7, 9))
    assert whole.shape == (3, 17, 3, 7, 9)
    assert torch.equal(whole[2, 16], resize(video[2, 16], (7, 9)))


@given(sizes, seeds, st.booleans())
@settings(max_examples=40)
def test_boxes_follow_the_picture(size, generator, mirrored):
    """A box drawn as bright pixels and one followed by arithmetic agree after crop and flip, and can be undone."""
    height, width = size
    x1, y1, x2, y2 = random_resized_box(size, generator=generator)
    image = torch.zeros(1, *size)
    image[:, y1:y2, x1:x2] = 1
    box = random_resized_box(size, generator=generator)
    image, boxes = crop(image, box), crop_boxes(torch.tensor([[x1, y1, x2, y2]]).float(), box)
    h, w = image.shape[-2:]
    if mirrored:
        image, boxes = flip(image), flip_boxes(boxes, w)
    left, top, right, bottom = boxes[0].int().tolist()
    assert image.sum() == (right - left) * (bottom - top)
    assert image[:, top:bottom, left:right].sum() == image.sum()
    undone = original_boxes(boxes, (h, w), crop_region(WHOLE, size, box), flipped=mirrored)
    visible = torch.tensor([[max(x1, box[0]), max(y1, box[1]), min(x2, box[2]), min(y2, box[3])]]).float()
    if image.sum() > 0:
        torch.testing.assert_close(scale_points(undone, (width, height)), visible, rtol=1e-4, atol=1e-3)


def test_keypoints():
    keypoints = torch.tensor([[10.0, 4.0], [0.0, 4.0], [3.0, 5.0]])
    flipped, scores = flip_keypoints(keypoints, 20, [0], [2], torch.tensor([0.1, 0.2, 0.3]))
    assert flipped.tolist() == [[17, 5], [0, 4], [10, 4]]
    assert scores.tolist() == pytest.approx([0.3, 0.2, 0.1])
    assert crop_keypoints(keypoints, (2, 1, 8, 8)).tolist() == [[8, 3], [-2, 3], [1, 4]]


def test_flow_changes_sign_along_the_flip():
    flow = torch.tensor([[[[100]], [[200]]]], dtype=torch.uint8)
    assert flip(flow, flow=True).flatten().tolist() == [155, 200]
    assert flip(flow, flow=True, vertical=True).flatten().tolist() == [100, 55]
    assert flip(flow.float(), flow=True).flatten().tolist() == [-100, 200]
    assert flow.flatten().tolist() == [100, 200]


@pytest.mark.parametrize("change", [lambda v, g: color_jitter(v, 0.4, 0.4, 0.4, 0.1, generator=g), rand_augment])
def test_colour_changes_are_alike_in_all_frames(change):
    video = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8).expand(4, -1, -1, -1)
    state = torch.random.get_rng_state()
    for seed in range(5):
        call = (lambda g: change(video, g)) if change is not rand_augment else (lambda g: change(video, generator=g))
        out, again = call(torch.Generator().manual_seed(seed)), call(torch.Generator().manual_seed(seed))
        assert torch.equal(out, again)
        assert out.dtype == torch.uint8
        assert torch.equal(out, out[:1].expand_as(out))
    assert torch.equal(state, torch.random.get_rng_state())
    with pytest.raises(InputError, match="1 or 3 channels"):
        color_jitter(video[:, :2], 0.4)


@given(sizes, seeds)
@settings(max_examples=30)
def test_random_erasing(size, generator):
    video = torch.zeros(3, 4, *size)
    out = random_erasing(video, generator=generator)
    changed = (out != 0).all(0).all(0)
    assert torch.equal(changed, (out != 0).any(0).any(0))
    assert changed.sum() <= 0.4 * changed.numel() + max(size)
    assert (video == 0).all()


def test_wrong_values():
    video = torch.zeros(2, 3, 8, 8)
    for call, message in (
        (lambda: crop(video, (0, 0, 9, 8)), "within frames of 8x8"),
        (lambda: center_crop(video, 9), "within frames of 8x8"),
        (lambda: three_crop(video, 6), "resize the short side"),
        (lambda: random_box(8, 9), "within frames of 8x8"),
        (lambda: resize(video, (0, 4)), "cannot resize"),
        (lambda: resize(video, 4, "lanczos"), "mode must be"),
        (lambda: resize(video, 9, "area"), "only shrinks"),
        (lambda: normalize(video, (0.5,), (0.5,)), "need 3 values"),
        (lambda: to_float(video.long()), "uint8"),
        (lambda: flip_keypoints(torch.zeros(3, 2), 8, [0], []), "pairs"),
    ):
        with pytest.raises(InputError, match=message):
            call()
