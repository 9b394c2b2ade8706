"""Tells apart what a library's failure says about its device; knows no library, only names and texts. Pure.

Libraries raise RuntimeError for nearly everything, so their words have to be read; nothing else of ours does that
([decision 58](docs/decisions/0058-words-of-libraries-tell-device-failures-apart.md)).
"""

import enum
from collections.abc import Sequence
from typing import NamedTuple


class Fault(enum.Enum):
    """`REQUEST`: nothing is known to be wrong but with what was computed. `NO_MEMORY`: too little for this batch.

    `DEVICE`: this process cannot compute any more, whatever it is asked; only a new one can.
    """

    REQUEST = "request"
    NO_MEMORY = "no memory"
    DEVICE = "device"


class Verdict(NamedTuple):
    """`sign` is the word of our lists that decided, fit to be shown; empty where none did."""

    fault: Fault
    sign: str = ""


_NO_MEMORY_TYPES = frozenset({"MemoryError", "OutOfMemoryError"})
_NO_MEMORY_SIGNS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "failed to allocate memory",
    "unable to allocate",
    "not enough memory",
    "device memory allocation fail",
    "std::bad_alloc",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
)
_DEVICE_SIGNS = (
    "illegal memory access",
    "illegal instruction",
    "illegal address",
    "device-side assert",
    "misaligned address",
    "invalid program counter",
    "unspecified launch failure",
    "launch timed out",
    "hardware stack error",
    "uncorrectable ecc error",
    "uncorrectable nvlink error",
    "fallen off the bus",
    "gpu is lost",
    "nvrm: xid",
    "no cuda-capable device",
    "devices unavailable",
    "driver shutting down",
    "context is destroyed",
    "cuda error: initialization error",
    "cuda error: unknown error",
    "cublas_status_not_initialized",
    "cublas_status_execution_failed",
    "cublas_status_internal_error",
    "cublas_status_mapping_error",
    "cudnn_status_not_initialized",
    "cudnn_status_execution_failed",
    "cudnn_status_internal_error",
    "cudnn_status_mapping_error",
    "cusolver_status_execution_failed",
    "cufft_exec_failed",
    "nccl error",
)
_DEVICE_TYPES = frozenset({"AcceleratorError"})
_HARMLESS_SIGNS = ("invalid argument", "invalid configuration argument", "operation not supported")


def classify(type_names: Sequence[str], text: str) -> Verdict:
    """What an exception of these types (its class, then its bases) with this text means. Memory is looked for first:
    the driver reports a failed allocation in the same words as other failures, and goes on computing after it.
    """
    words = text.casefold()
    if sign := _found(_NO_MEMORY_SIGNS, words):
        return Verdict(Fault.NO_MEMORY, sign)
    if not _NO_MEMORY_TYPES.isdisjoint(type_names):
        return Verdict(Fault.NO_MEMORY)
    if sign := _found(_DEVICE_SIGNS, words):
        return Verdict(Fault.DEVICE, sign)
    if _DEVICE_TYPES.isdisjoint(type_names) or _found(_HARMLESS_SIGNS, words):
        return Verdict(Fault.REQUEST)
    return Verdict(Fault.DEVICE)


def judge(error: BaseException) -> Verdict:
    return classify([kind.__name__ for kind in type(error).__mro__], str(error))


def _found(signs: Sequence[str], words: str) -> str:
    return next((sign for sign in signs if sign in words), "")
