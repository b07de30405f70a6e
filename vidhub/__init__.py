"""vidhub: pretrained video-understanding models behind one flat API."""

import importlib

__version__ = "0.1.0"

# public name: module that defines it. Resolved on first use, so that `import vidhub` costs next to nothing.
_PUBLIC = {
    "create_model": ".models._factory",
    "list_models": ".models._registry",
    "list_pretrained": ".weights.tables",
    "get_weights": ".weights.tables",
    "load_checkpoint": ".models._checkpoint",
    "save_checkpoint": ".models._hub",
    "push_to_hub": ".models._hub",
    "create_transform": ".transforms.factory",
    "predict": ".engine.predict",
    "predict_stream": ".engine.stream",
    "train": ".engine.train",
    "optimize": ".engine.optimize",
    "evaluate": ".engine.evaluate",
    "fuse": ".engine.evaluate",
    "export": ".engine.export",
    "Recipe": ".engine.recipe",
    "create_dataset": ".datasets.catalog",
    "VideoReader": ".datasets.video_io",
    "DataConfig": ".weights.types",
    "Weights": ".weights.types",
    "VidhubError": ".errors",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name], __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_PUBLIC})
