"""What failures of libraries say about their device: texts as PyTorch, CTranslate2, NumPy and the driver write them."""

import pytest

from engines.runtime.faults import Fault, classify, judge

TORCH_MEMORY = ("OutOfMemoryError", "RuntimeError", "Exception")
TORCH_DEVICE = ("AcceleratorError", "RuntimeError", "Exception")
PLAIN = ("RuntimeError", "Exception")
ASYNCHRONOUS = (
    "\nCUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be"
    " incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1"
)


@pytest.mark.parametrize(
    ("types", "text"),
    [
        (
            TORCH_MEMORY,
            "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.11 GiB",
        ),
        (TORCH_DEVICE, "CUDA error: out of memory" + ASYNCHRONOUS),
        (PLAIN, "CUDA failed with error out of memory"),
        (PLAIN, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        (PLAIN, "cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"),
        (
            PLAIN,
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"
            " allocate 314572800 bytes. Error code 12 (Cannot allocate memory)",
        ),
        (PLAIN, "mkl_malloc: failed to allocate memory"),
        (PLAIN, "std::bad_alloc"),
        (("MemoryError", "Exception"), ""),
        (
            ("_ArrayMemoryError", "MemoryError", "Exception"),
            "Unable to allocate 300. MiB for an array with shape",
        ),
    ],
)
def test_too_little_memory_is_known_by_type_or_words(types: tuple[str, ...], text: str) -> None:
    assert classify(types, text).fault is Fault.NO_MEMORY


@pytest.mark.parametrize(
    ("types", "text", "sign"),
    [
        (TORCH_DEVICE, "CUDA error: an illegal memory access was encountered", "illegal memory access"),
        (TORCH_DEVICE, "CUDA error: device-side assert triggered", "device-side assert"),
        (PLAIN, "CUDA failed with error an illegal memory access was encountered", "illegal memory access"),
        (PLAIN, "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", "cudnn_status_execution_failed"),
        (
            PLAIN,
            "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, opa, opb, m, n, k)`",
            "cublas_status_execution_failed",
        ),
        (TORCH_DEVICE, "CUDA error: uncorrectable ECC error encountered", "uncorrectable ecc error"),
        (TORCH_DEVICE, "CUDA error: unspecified launch failure", "unspecified launch failure"),
        (PLAIN, "CUDA failed with error unspecified launch failure", "unspecified launch failure"),
        (TORCH_DEVICE, "CUDA error: something that no driver has said yet", ""),
    ],
)
def test_a_device_that_does_not_recover_is_known_by_words(
    types: tuple[str, ...], text: str, sign: str
) -> None:
    assert classify(types, text + ASYNCHRONOUS) == (Fault.DEVICE, sign)


@pytest.mark.parametrize(
    ("types", "text"),
    [
        (
            PLAIN,
            "The size of tensor a (77) must match the size of tensor b (512) at non-singleton dimension 1",
        ),
        (PLAIN, "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
        (PLAIN, "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
        (TORCH_DEVICE, "CUDA error: invalid configuration argument"),
        (TORCH_DEVICE, "CUDA error: invalid argument"),
        (("ValueError", "Exception"), "oxidised"),
    ],
)
def test_anything_else_is_the_requests(types: tuple[str, ...], text: str) -> None:
    assert classify(types, text).fault is Fault.REQUEST


def test_an_exception_is_judged_by_its_bases_too() -> None:
    class LibrarysOwn(MemoryError):
        pass

    assert judge(LibrarysOwn()).fault is Fault.NO_MEMORY
