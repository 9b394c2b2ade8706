"""What the machine says of its devices."""

from server.nvml import Gpu
from server.workers.devices import read_free


def test_free_memory_is_that_of_the_machine_and_of_every_gpu() -> None:
    free = read_free(lambda: [Gpu(0, 80, 30), Gpu(1, 80, 0)])

    assert (free["cuda:0"], free["cuda:1"]) == (30, 0)
    assert free["cpu"] > 0
