"""vidhub's networks for torch.hub: ``torch.hub.load("OWNER/REPOSITORY", "slowfast_r50", pretrained=True)``.

An entry point for every architecture, and one for every published checkpoint: ``"slowfast_r50.mm_k400_4x16"``.
"""

import vidhub
from vidhub.models import _registry

dependencies = ["torch", "torchvision", "timm", "huggingface_hub", "safetensors", "einops", "av", "numpy"]


def _entry_point(name):
    def build(pretrained=False, **kwargs):
        return vidhub.create_model(name, pretrained=pretrained, **kwargs)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = (
        f"{_registry.entry_point(name.split('.')[0]).__doc__}\n\n"
        "Args:\n"
        "    pretrained: load the published weights.\n"
        "    kwargs: see ``vidhub.create_model``.\n"
    )
    return build


globals().update({name: _entry_point(name) for name in [*vidhub.list_models(), *vidhub.list_pretrained()]})
