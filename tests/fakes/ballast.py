"""Memory that is really there: pages of this process, touched, and given back to the system when dropped."""

import mmap

MIB = 1024 * 1024


class Ballast:
    """Blocks of touched anonymous pages; each goes back to the system at once, whatever the allocator thinks."""

    def __init__(self) -> None:
        self._blocks: list[mmap.mmap] = []

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self._blocks))

    def take(self, num_mib: int) -> None:
        if num_mib <= 0:
            return
        block = mmap.mmap(-1, num_mib * MIB)
        for page in range(0, len(block), mmap.PAGESIZE):
            block[page] = 1
        self._blocks.append(block)

    def drop(self) -> None:
        for block in self._blocks:
            block.close()
        self._blocks.clear()
