"""Carries out Dockerfile.cuda without Docker, in a folder, with the engines for CPU: `exercise_dockerfile.py [FOLDER]`.

What needs Docker or a GPU is not covered: the base image, layers, mounts, the CUDA wheels, the driver.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from dockerfile.carrying_out import ExerciseError, Image
from dockerfile.faults import find_faults
from dockerfile.reading import read_stages

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    arguments = argparse.ArgumentParser(description="Carry out Dockerfile.cuda without Docker.")
    arguments.add_argument(
        "folder", nargs="?", type=Path, help="empty folder to do it in; a temporary one by default"
    )
    arguments.add_argument("--flavour", default="cpu", help="engines to install in place of cuda")
    given = arguments.parse_args()
    stages = read_stages((ROOT / "Dockerfile.cuda").read_text(encoding="utf-8"))
    if faults := find_faults(stages, ROOT):
        print("\n".join(faults), file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
        root = (given.folder or Path(temporary)).absolute() / "image"
        try:
            Image(root, ROOT, flavour=given.flavour, environment=environment).carry_out(stages, print)
        except ExerciseError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
