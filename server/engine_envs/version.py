"""One engine environment on disk, made of one set of requirements. Knows not which one is in use."""

import json
import os
from pathlib import Path

import msgspec


class Version(msgspec.Struct, frozen=True):
    """The virtual environment in `folder`, which is `<flavour>-<digest>`, or `<flavour>` as releases before made it.

    A stamp with a digest of the requirement files is its last file to be written, so a folder without one was
    interrupted.
    """

    flavour: str
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def digest(self) -> str | None:
        """Of the requirements it was made of; None if its installation did not come to its end."""
        try:
            digest = json.loads(self._stamp.read_text(encoding="utf-8"))["requirements"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return digest if isinstance(digest, str) and self.python.exists() else None

    def mark_incomplete(self) -> None:
        self._stamp.unlink(missing_ok=True)

    def mark_complete(self, digest: str) -> None:
        unfinished = self._stamp.with_suffix(".tmp")
        unfinished.write_text(json.dumps({"requirements": digest}), encoding="utf-8")
        unfinished.replace(self._stamp)

    def python_version(self) -> str | None:
        """`3.12.4`, as the environment itself notes it."""
        try:
            lines = (self.folder / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        pairs = (line.partition("=") for line in lines)
        return next((value.strip() for key, _, value in pairs if key.strip() == "version"), None)

    def size_bytes(self) -> int:
        """What it takes on the disk. Reads tens of thousands of entries: up to a second, longer when cold."""
        return sum(_sizes(self.folder))

    @property
    def _stamp(self) -> Path:
        return self.folder / "hearth-stamp.json"


def _sizes(folder: Path) -> list[int]:
    sizes = []
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(os.lstat(os.path.join(parent, name)).st_blocks * 512)
            except FileNotFoundError:  # it is being installed or removed right now
                continue
    return sizes
