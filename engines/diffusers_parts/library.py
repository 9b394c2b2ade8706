"""Every import from diffusers and torch, so that a new release is checked in one place; checked with 0.42.1 and 2.13.

Importing this module takes seconds and fails without the libraries: only `diffusers_image.Engine.load` starts it, in a
thread.
"""

import diffusers
import torch
from diffusers import DiffusionPipeline, PipelineQuantizationConfig, pipelines
from diffusers.models.attention_dispatch import AttentionBackendName
from diffusers.utils import logging as diffusers_logging
from PIL.Image import Image

__all__ = [
    "AttentionBackendName",
    "DiffusionPipeline",
    "Image",
    "PipelineQuantizationConfig",
    "is_own_pipeline_module",
    "pipeline_class",
    "quiet",
    "torch",
]


def quiet() -> None:
    """No progress bars: a worker's log has lines of ours."""
    diffusers_logging.disable_progress_bar()


def pipeline_class(name: str) -> type[DiffusionPipeline] | None:
    """The pipeline that diffusers itself defines under this name."""
    found = getattr(diffusers, name, None)
    return found if isinstance(found, type) and issubclass(found, DiffusionPipeline) else None


def is_own_pipeline_module(name: str) -> bool:
    """Whether `name` is a module of diffusers' pipelines, such as `stable_diffusion`."""
    return hasattr(pipelines, name)
