"""Skeletons: graphs, arrays and heatmaps against published figures."""

import numpy as np
import pytest
import torch
from pipeline import cases, check

from vidhub.errors import InputError, UnknownNameError
from vidhub.models.layers.graph import adjacency, hop_distances, k_adjacency
from vidhub.transforms import skeleton
from vidhub.transforms.functional import crop_region
from vidhub.transforms.heatmaps import joint_heatmaps, limb_heatmaps, mirror_heatmaps
from vidhub.transforms.sampling import stratified_frames
from vidhub.weights.skeletons import LAYOUTS, Layout, find_layout

STREAMS = {"j": "joint", "b": "bone", "jm": "joint_motion", "bm": "bone_motion"}
COCO_LIMBS = (
    *((0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (5, 7), (7, 9), (0, 6), (6, 8), (8, 10)),
    *((5, 11), (11, 13), (13, 15), (6, 12), (12, 14), (14, 16), (11, 12)),
)


def pose(given, name="keypoint", marks="zeroed"):
    array = given.get(name)
    if array is not None:
        for place in given.get(marks) or ():
            array[tuple(slice(None) if i is None else i for i in place)] = 0
        for place in (given.get("nan_at") or ()) if name == "keypoint" else ():
            array[tuple(slice(None) if i is None else i for i in place)] = np.nan
    return array


def normalize_2d(params, given):
    return {"keypoint": skeleton.normalize_2d(pose(given), given["img_shape"] or params["img_shape"])}


def normalize_3d(params, given):
    keypoints = pose(given)
    switches = {"align_center": "align_center", "align_spine": "align_spine", "align_shoulder": "align_shoulders"}
    args = {switches[k]: v for k, v in params.items() if k in switches}
    if "zaxis" in params:
        args["spine"] = tuple(params["zaxis"])
    if "xaxis" in params:
        args["shoulders"] = tuple(params["xaxis"][::-1])
    out, center = skeleton.normalize_3d(keypoints, **args)
    found = {"keypoint": out, "total_frames": out.shape[1]}
    return found if center is None else {**found, "body_center": center}


def bones(params, given):
    return {"bone": skeleton.bones(given["keypoint"], params["dataset"])}


def motion(params, given):
    return {"motion": skeleton.motion(given["keypoint"], params["dataset"])}


def features(params, given):
    keypoints = skeleton.with_scores(given["keypoint"], given["keypoint_score"])
    return {"keypoint": skeleton.streams(keypoints, params["dataset"], [STREAMS[f] for f in params["feats"]])}


def decode(params, given):
    keypoints, scores = (given[k] for k in ("keypoint", "keypoint_score"))
    frames = np.arange(keypoints.shape[1]) if given["frame_inds"] is None else np.ravel(given["frame_inds"])
    frames = frames + given["offset"]
    found = {"keypoint": keypoints.astype(given["stored_as"])[:, frames].astype(np.float32)}
    if scores is not None:
        found["keypoint_score"] = scores.astype(given["stored_as"])[:, frames].astype(np.float32)
    return found


def compact(params, given):
    keypoints, size = np.nan_to_num(pose(given)), given["img_shape"]
    box = skeleton.person_box(
        keypoints,
        size,
        padding=params["padding"],
        threshold=params["threshold"],
        ratio=params["hw_ratio"],
        beyond=params["allow_imgpad"],
    )
    if "image" in given:
        box = box or (0, 0, size[1], size[0])
    if box is None:
        return {"keypoint": keypoints, "img_shape": size}
    x1, y1, x2, y2 = box
    found = {"keypoint": skeleton.into_box(keypoints, box), "img_shape": [y2 - y1, x2 - x1]}
    if "image" in given:
        return {**found, "image": skeleton.crop_padded(given["image"], box)}
    return {**found, "crop_quadruple": crop_region((0, 0, 1, 1), size, box)}


def heatmaps(params, given):
    keypoints = torch.from_numpy(pose(given)).float() * params["scaling"]
    scores = pose(given, "keypoint_score", "score_zeroed")
    scores = None if scores is None or not params["use_score"] else torch.from_numpy(scores)
    size = tuple(int(side * params["scaling"] + 0.5) for side in given["img_shape"])
    coco = LAYOUTS["coco"]
    limbs = params.get("skeletons", COCO_LIMBS)
    if params["with_limb"]:
        maps = limb_heatmaps(keypoints, scores, limbs=limbs, size=size, sigma=params["sigma"])
    else:
        maps = joint_heatmaps(keypoints, scores, size=size, sigma=params["sigma"])
    if params["double"]:
        sides = "limb" if params["with_limb"] else "kp"
        usual = (
            ((0, 2, 4, 5, 6, 10, 11, 12), (1, 3, 7, 8, 9, 13, 14, 15))
            if params["with_limb"]
            else (coco.left, coco.right)
        )
        order = list(range(len(maps)))
        for a, b in zip(
            *(params.get(f"{s}_{sides}", u) for s, u in zip(("left", "right"), usual, strict=True)), strict=True
        ):
            order[a], order[b] = b, a
        maps = torch.cat([maps, mirror_heatmaps(maps, order)], 1)
    return {"heatmaps": maps.transpose(0, 1)}


def graph_input(params, given):
    keypoints = skeleton.with_scores(given["keypoint"], given["keypoint_score"])
    keypoints = skeleton.take_persons(keypoints, params["num_person"], params["mode"])
    keypoints = skeleton.split_clips(keypoints, given["num_clips"])
    return {"shape": keypoints.shape, "keypoint": keypoints}


def pad(params, given):
    keypoints = skeleton.pad_frames(given["keypoint"], params["length"], params["mode"])
    return {"keypoint": keypoints, "total_frames": keypoints.shape[1]}


def decompress(params, given):
    keypoints, scores = skeleton.persons_by_frame(
        given["keypoint"],
        np.array(given["frame_inds"]),
        given["total_frames"],
        chosen=given["anno_inds"],
        squeeze=params["squeeze"],
        max_persons=params["max_person"],
    )
    persons, frames = keypoints.shape[:2]
    return {"keypoint": keypoints, "keypoint_score": scores, "total_frames": frames, "num_person": persons}


def pipeline(params, given):
    keypoints = given["keypoint"]
    if "PreNormalize2D" in params["order"]:
        keypoints = skeleton.normalize_2d(keypoints, given["img_shape"])
    else:
        keypoints = skeleton.normalize_3d(keypoints)[0]
    keypoints = skeleton.with_scores(keypoints, given["keypoint_score"])
    keypoints = skeleton.streams(keypoints, params["layout"], [STREAMS[params["feat"]]])
    frames = stratified_frames(keypoints.shape[1], params["clip_len"], params["num_clips"]).ravel()
    keypoints = skeleton.take_persons(keypoints[:, frames], params["num_person"])
    return {"frame_inds": frames, "keypoint": skeleton.split_clips(keypoints, params["num_clips"])}


def named(layout):
    if isinstance(layout, str):
        return LAYOUTS[layout]
    return Layout(layout["num_node"], tuple(map(tuple, layout["inward"])), layout["center"])


def graph(params, given):
    layout = named(given["layout"])
    strategy = {"stgcn_spatial": "distance_spatial", "binary_adj": "binary"}.get(params["mode"], params["mode"])
    A = adjacency(layout, strategy, params["max_hop"])
    found = {"A": A, "shape": A.shape, "sum": A.sum(), "num_node": layout.num_joints, "center": layout.center}
    return found | {"inward_edges": sorted(map(list, layout.edges))}


def neighbours(params, given):
    layout = named(given["layout"])
    return {"A": k_adjacency(layout.edges, layout.num_joints, params["k"], params["with_self"])}


def hops(params, given):
    layout = named(given["layout"])
    return {"hops": hop_distances(layout.edges, layout.num_joints, params["max_hop"])}


OPS = {
    "PreNormalize2D": normalize_2d,
    "PreNormalize3D": normalize_3d,
    "JointToBone": bones,
    "ToMotion": motion,
    "GenSkeFeat": features,
    "PoseDecode": decode,
    "PoseCompact": compact,
    "MMCompact": compact,
    "GeneratePoseTarget": heatmaps,
    "GeneratePoseTarget.custom": heatmaps,
    "FormatGCNInput": graph_input,
    "PadTo": pad,
    "DecompressPose": decompress,
    "pipeline.gcn": pipeline,
    "graph": graph,
    "graph.custom": graph,
    "graph.k_adjacency": neighbours,
    "graph.hop_distance": hops,
}
LOOSE = {
    "PreNormalize3D",
    "PoseCompact",
    "MMCompact",
    "GeneratePoseTarget",
    "GeneratePoseTarget.custom",
    "pipeline.gcn",
}


@pytest.mark.parametrize(("op", "params", "given", "expected"), list(cases("skeleton")))
def test_as_published(op, params, given, expected):
    found = OPS[op](params or {}, given)
    if "inward_edges" in expected:
        expected["inward_edges"] = sorted(expected["inward_edges"])
    found = {k: v for k, v in found.items() if expected.get(k) is not None}
    assert found
    loose = (
        {"rtol": 1e-4, "atol": 1e-4} if op in LOOSE else {"rtol": 1e-3, "atol": 1e-3} if op == "DecompressPose" else {}
    )
    check(found, expected, **loose)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_hang_together(name):
    layout = find_layout(name)
    hops = hop_distances(layout.edges, layout.num_joints)
    assert (hops >= 0).all()
    assert len(layout.edges) == layout.num_joints - 1
    assert all(hops[i, layout.center] == hops[j, layout.center] + 1 for i, j in layout.edges)
    assert sorted(layout.mirrored) == list(range(layout.num_joints))
    assert sorted(layout.mirrored_limbs) == list(range(len(layout.shown_limbs)))


def test_layout_of_ones_own():
    assert find_layout([(1, 0), (2, 0)]).num_joints == 3
    with pytest.raises(UnknownNameError, match="coco"):
        find_layout("cocos")
    for wrong in ([1, 2], 5):
        with pytest.raises(InputError, match="list of edges"):
            find_layout(wrong)


def test_heatmaps_of_a_batch_are_those_of_each():
    g = torch.Generator().manual_seed(0)
    points, scores = torch.rand(3, 2, 4, 17, 2, generator=g) * 40 - 4, torch.rand(3, 2, 4, 17, generator=g)
    limbs = LAYOUTS["coco"].shown_limbs
    for draw in (joint_heatmaps, lambda *a, **k: limb_heatmaps(*a, limbs=limbs, **k)):
        together = draw(points, scores, size=(32, 24), sigma=0.8)
        assert together.shape == (3, 17, 4, 32, 24)
        for i in range(3):
            torch.testing.assert_close(draw(points[i], scores[i], size=(32, 24), sigma=0.8), together[i])


def test_long_limbs_are_ridges_as_high_as_their_scores():
    g = torch.Generator().manual_seed(0)
    points, scores = torch.rand(2, 24, 17, 2, generator=g) * 32, torch.rand(2, 24, 17, generator=g)
    limbs = LAYOUTS["coco"].shown_limbs
    maps = limb_heatmaps(points, scores, limbs=limbs, size=(32, 32), sigma=0.6).double()
    ends = [list(joints) for joints in zip(*limbs, strict=True)]
    first, second = (points[:, :, joints, None, None].double() for joints in ends)
    height = torch.minimum(*(scores[:, :, joints, None, None] for joints in ends))
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    from_first, along = torch.stack((x, y), -1).double() - first, second - first
    part = ((from_first * along).sum(-1) / along.square().sum(-1)).clamp(0, 1)
    distance = (from_first - part[..., None] * along).square().sum(-1)
    wanted = (height * torch.exp(-distance / (2 * 0.6**2))).amax(0).transpose(0, 1)
    longer = (along.square().sum(-1) >= 1).all(0).transpose(0, 1)  # shorter ones are drawn as joints
    near = (wanted > 0.012) & longer  # what is further than three sigma from both ends may be left out
    torch.testing.assert_close(maps[near], wanted[near], atol=1e-5, rtol=0)
    assert (maps <= wanted + 1e-5)[longer.expand_as(maps)].all()


def test_nothing_to_draw():
    assert joint_heatmaps(torch.zeros(0, 4, 17, 2), size=(8, 8)).shape == (17, 4, 8, 8)
    assert not joint_heatmaps(torch.full((1, 2, 3, 2), 99.0), size=(8, 8)).any()
