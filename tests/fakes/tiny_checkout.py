"""A checkout of Hearth whose locks name two tiny packages, and wheels of these: installed in seconds, by a real pip."""

import base64
import hashlib
import os
import shutil
import sysconfig
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE_PACKAGE = "hearth_tiny_engine"
API_PACKAGE = "hearth_tiny_api"
_VERSION = "1.0"


class TinyCheckout:
    """The real code of `server/` and `engines/`, with other requirements. `wheels` is what pip finds."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        self.wheels = folder / "index"
        self.wheels.mkdir(parents=True)
        for name in ("server", "engines"):
            shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "LICENSE"):
            shutil.copyfile(ROOT / name, self.root / name)
        (self.root / "model_configs").mkdir()
        (self.root / "model_configs/README").write_text("models\n")
        engine = make_wheel(self.wheels, ENGINE_PACKAGE)
        api = make_wheel(self.wheels, API_PACKAGE)
        requirements = self.root / "engines/requirements"
        (requirements / "cuda.txt").write_text(_locked(ENGINE_PACKAGE, engine))
        (requirements / "imports.txt").write_text(f"import {ENGINE_PACKAGE}\n")
        (requirements / "built.txt").write_text("# nothing\n")
        (self.root / "requirements.lock").write_text(_locked(API_PACKAGE, api))

    def environment(self, **settings: str) -> dict[str, str]:
        """For child processes: pip finds these wheels only, and the command line its own libraries."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEARTH_", "PIP_"))}
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "PIP_CONFIG_FILE": os.devnull}
        libraries = {"PYTHONPATH": sysconfig.get_paths()["purelib"]}
        return kept | pip | libraries | {f"HEARTH_{name.upper()}": value for name, value in settings.items()}


def make_wheel(folder: Path, name: str) -> Path:
    """A wheel of one module, which holds `VALUE = 42`."""
    info = f"{name}-{_VERSION}.dist-info"
    files = {
        f"{name}.py": b"VALUE = 42\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {_VERSION}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(content)},{len(content)}\n" for path, content in files.items())
    wheel = folder / f"{name}-{_VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in (files | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}).items():
            archive.writestr(path, content)
    return wheel


def _locked(name: str, wheel: Path) -> str:
    return f"{name}=={_VERSION} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
