"""The driver's library as a fake that is compiled here: the same calls and structures, no GPU."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from server.nvml import Gpu, bytes_by_process, count_gpus, cuda_version, read_gpus

GIB = 1024**3
FAKE = """
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int pid; unsigned long long used; unsigned int instance, compute; } process_t;

static int is_open = 0;
int nvmlInit_v2(void) { is_open++; return INIT; }
int nvmlShutdown(void) { return --is_open; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return is_open != 1; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) { *device = (void *)(long)(index + 1); return 0; }
int nvmlDeviceGetMemoryInfo(void *device, memory_t *memory) {
    memory->total = 80ULL << 30;
    memory->free = (unsigned long long)(long)device << 30;
    return 0;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13010; return 0; }
#ifdef PROCESSES
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned int *count, process_t *found) {
    static const process_t all[] = {{10, 3ULL << 30, 0, 0}, {11, ~0ULL, 0, 0}, {10, 1ULL << 30, 1, 0}, {12, 5, 0, 0}};
    unsigned int there = (long)device == 1 ? 4 : 0;
    unsigned int room = *count;
    *count = there;
    if (there > room) return 7;
    for (unsigned int i = 0; i < there; i++) found[i] = all[i];
    return 0;
}
#endif
"""
Compile = Callable[..., str]


@pytest.fixture
def library(tmp_path: Path) -> Compile:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")

    def compile_with(*, init: int = 0, tells_processes: bool = True) -> str:
        source, made = tmp_path / "nvml.c", tmp_path / f"nvml-{init}-{tells_processes}.so"
        source.write_text(FAKE)
        flags = [f"-DINIT={init}", *(["-DPROCESSES"] if tells_processes else [])]
        subprocess.run([compiler, "-shared", "-fPIC", *flags, "-o", str(made), str(source)], check=True)
        return str(made)

    return compile_with


def test_gpus_and_their_memory_are_read(library: Compile) -> None:
    driver = library()

    assert count_gpus(driver) == 2
    assert read_gpus(driver) == [Gpu(0, 80 * GIB, GIB), Gpu(1, 80 * GIB, 2 * GIB)]
    assert cuda_version(driver) == (13, 1)


def test_memory_is_told_by_process_and_added_up_over_its_instances(library: Compile) -> None:
    assert bytes_by_process(library()) == {"cuda:0": {10: 4 * GIB, 12: 5}, "cuda:1": {}}


def test_old_driver_tells_no_processes(library: Compile) -> None:
    assert bytes_by_process(library(tells_processes=False)) == {"cuda:0": {}, "cuda:1": {}}


def test_driver_that_does_not_start_has_no_gpus(library: Compile) -> None:
    driver = library(init=9)

    assert (count_gpus(driver), read_gpus(driver), bytes_by_process(driver)) == (0, [], {})
    assert cuda_version(driver) is None


def test_without_a_driver_there_are_no_gpus() -> None:
    missing = "libno-such-driver.so.1"

    assert (count_gpus(missing), read_gpus(missing), bytes_by_process(missing)) == (0, [], {})
    assert cuda_version(missing) is None
