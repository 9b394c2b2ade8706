"""A bundle: made, cut, carried, joined, verified and installed without a network, by a real pip with tiny wheels."""

import hashlib
import io
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from server.engine_envs.bundle import BundleError, BundleOrder, TargetError, parse_target, try_bundle
from server.engine_envs.bundle.installer import JoinedParts
from server.engine_envs.bundle.parts import PartWriter
from tests.fakes.tiny_checkout import API_PACKAGE, ENGINE_PACKAGE, ROOT, TinyCheckout
from tests.server.engine_envs.test_install import Heard

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
TIMEOUT_S = 120
PART_BYTES = 512 * 1024


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> TinyCheckout:
    return TinyCheckout(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def made(checkout: TinyCheckout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle in parts of half a megabyte."""
    output = tmp_path_factory.mktemp("made") / "bundle"
    result = bundle(checkout, output, "--part-size", "512KiB")
    assert result.returncode == 0, result.stderr
    return output


@pytest.fixture
def carried(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "carried"))


def bundle(checkout: TinyCheckout, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "server",
        "engines",
        "bundle",
        "--flavour",
        "cuda",
        "--output",
        str(output),
    ]
    return subprocess.run(
        [*command, "--python", HERE, *options],
        cwd=checkout.root,
        env=checkout.environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def install(bundle: Path, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """In a network namespace of its own, where nothing can be reached, if this user may make one."""
    alone = ["unshare", "-n"]
    may = (
        shutil.which("unshare")
        and subprocess.run([*alone, "true"], capture_output=True, check=False).returncode == 0
    )
    return subprocess.run(
        [*(alone if may else []), "sh", str(bundle / "install.sh"), str(folder)],
        env={key: value for key, value in environment.items() if not key.startswith("PIP_")}
        | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_carried_bundle_is_installed_without_a_network(
    carried: Path, checkout: TinyCheckout, tmp_path: Path
) -> None:
    folder = tmp_path / "opt" / "hearth"

    result = install(carried, folder, checkout.environment())

    assert result.returncode == 0, result.stdout + result.stderr
    for python, module in (("engines/cuda", ENGINE_PACKAGE), (".venv", API_PACKAGE)):
        command = [str(folder / python / "bin/python"), "-I", "-c", f"import {module} as m; print(m.VALUE)"]
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"42\n"
    assert (folder / "model_configs/README").exists()
    assert not (folder / "unfinished").exists()


def test_parts_have_the_size_that_was_asked_for(made: Path) -> None:
    parts = json.loads((made / "manifest.json").read_text())["parts"]

    assert len(parts) > 1
    assert {part["size_bytes"] for part in parts[:-1]} == {PART_BYTES}
    assert sorted(file.name for file in made.iterdir()) == [
        *(part["path"] for part in parts),
        "install.py",
        "install.sh",
        "manifest.json",
    ]


def test_parts_can_be_joined_by_hand(made: Path, tmp_path: Path) -> None:
    subprocess.run(f"cat '{made}'/hearth-*.tar.* | tar -x -C '{tmp_path}'", shell=True, check=True)

    listed = json.loads((made / "manifest.json").read_text())["files"]
    assert len(listed) > 100
    for item in listed:
        assert hashlib.sha256((tmp_path / item["path"]).read_bytes()).hexdigest() == item["sha256"]


def test_missing_and_damaged_parts_are_refused_by_name(
    carried: Path, checkout: TinyCheckout, tmp_path: Path
) -> None:
    first, second, third = sorted(carried.glob("*.tar.*"))[:3]
    first.unlink()
    second.write_bytes(bytes(PART_BYTES))
    size_bytes = third.stat().st_size
    third.write_bytes(b"short")

    result = install(carried, tmp_path / "opt", checkout.environment())

    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f"install: {first.name} is missing",
        f"install: {second.name} is damaged: its SHA-256 is not that of the manifest",
        f"install: {third.name} has 5 bytes instead of {size_bytes}",
    ]
    assert not (tmp_path / "opt").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"python": "3.99"}, "the bundle is for 3.99"),
        ({"machine": "riscv64"}, "the bundle is for riscv64"),
        ({"format": 2}, "has format 2; this install.py knows 1"),
    ],
)
def test_bundle_for_another_machine_is_refused(
    carried: Path, checkout: TinyCheckout, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    manifest = carried / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))

    result = install(carried, tmp_path / "opt", checkout.environment())

    assert (result.returncode, reason in result.stderr) == (1, True)


def test_file_that_differs_from_the_manifest_is_refused_and_nothing_replaced(
    carried: Path, checkout: TinyCheckout, tmp_path: Path
) -> None:
    manifest = carried / "manifest.json"
    content = json.loads(manifest.read_text())
    content["files"][-1]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(content))

    result = install(carried, tmp_path / "opt", checkout.environment())

    assert f"{content['files'][-1]['path']} is damaged" in result.stderr
    assert not (tmp_path / "opt/app").exists()


def test_package_that_cannot_be_had_is_named_and_no_bundle_made(
    checkout: TinyCheckout, tmp_path: Path
) -> None:
    other = TinyCheckout(tmp_path / "other")
    line = f"hearth_no_such_package==1 --hash=sha256:{'0' * 64}\n"
    (other.root / "engines/requirements/cuda.txt").write_text(line)

    result = bundle(other, tmp_path / "bundle")

    assert result.returncode == 1
    assert "hearth_no_such_package" in result.stderr
    assert not (tmp_path / "bundle/manifest.json").exists()


def test_wheel_that_is_not_the_locked_one_is_refused(checkout: TinyCheckout, tmp_path: Path) -> None:
    other = TinyCheckout(tmp_path / "other")
    lock = other.root / "engines/requirements/cuda.txt"
    lock.write_text(f"{lock.read_text().partition(':')[0]}:{'0' * 64}\n")

    result = bundle(other, tmp_path / "bundle")

    assert result.returncode == 1
    assert "DO NOT MATCH THE HASHES" in result.stdout + result.stderr
    assert not (tmp_path / "bundle/manifest.json").exists()


def test_dry_run_names_packages_and_leaves_nothing(checkout: TinyCheckout, tmp_path: Path) -> None:
    result = bundle(checkout, tmp_path / "bundle", "--dry-run", "--json")

    assert json.loads(result.stdout) == {ENGINE_PACKAGE: "1.0"}
    assert not (tmp_path / "bundle").exists()


def test_the_same_input_gives_the_same_parts(made: Path, checkout: TinyCheckout, tmp_path: Path) -> None:
    bundle(checkout, tmp_path / "again", "--part-size", "512KiB")

    assert (tmp_path / "again/manifest.json").read_bytes() == (made / "manifest.json").read_bytes()


def test_pip_is_told_every_older_platform() -> None:
    arguments = parse_target("3.12", "manylinux_2_18_x86_64").pip_arguments()

    tags = [tag for word, tag in itertools.pairwise(arguments) if word == "--platform"]
    assert tags[:4] == [
        "linux_x86_64",
        "manylinux_2_18_x86_64",
        "manylinux_2_17_x86_64",
        "manylinux2014_x86_64",
    ]
    assert "manylinux1_x86_64" in tags
    assert arguments[arguments.index("--python-version") + 1] == "3.12"


@pytest.mark.parametrize(("python", "platform"), [("3", "manylinux_2_28_x86_64"), ("3.12", "win_amd64")])
def test_unknown_machine_is_refused(python: str, platform: str) -> None:
    with pytest.raises(TargetError, match="such as"):
        parse_target(python, platform)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100])
def test_what_is_cut_can_be_joined(tmp_path: Path, size: int) -> None:
    content = bytes(range(size))
    with PartWriter(tmp_path, "x", 8) as writer:
        writer.write(content)

    with io.BufferedReader(JoinedParts([tmp_path / part.path for part in writer.parts])) as joined:
        assert joined.read() == content
    assert sum(part.size_bytes for part in writer.parts) == size


def test_package_that_can_only_be_built_for_this_machine_is_refused(tmp_path: Path) -> None:
    def build(command: tuple[str, ...], on_line: Callable[[str], None]) -> int:
        (Path(command[command.index("--wheel-dir") + 1]) / "x-1-cp312-cp312-linux_x86_64.whl").touch()
        return 0

    order = BundleOrder(ROOT, "cpu", parse_target("3.12", "manylinux_2_31_x86_64"), 1, tmp_path)

    with pytest.raises(BundleError, match="for this machine only: x-1-cp312"):
        try_bundle(order, build, Heard())
