"""How the servers that are compared are started on the same engines, and stopped. Knows no load."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmark.client import Body, json_body
from benchmark.workload import MODEL

ROOT = Path(__file__).resolve().parents[2]
_READY_S = 300.0
_STOP_S = 30.0
_UNIPROC = "vllm.v1.executor.uniproc_executor.UniProcExecutor"

# What vLLM's HTTP server imports beyond what our workers need, without dependencies, which are all there.
PEER_PACKAGES = (
    "prometheus-fastapi-instrumentator==8.1.0",
    "model-hosting-container-standards==0.1.16",
    "jmespath==1.1.0",
    "supervisor==4.3.0",
)
_PEER_PROBE = "import prometheus_fastapi_instrumentator, model_hosting_container_standards.sagemaker"

# Given to both engines, so that only what is in front of them differs.
ENGINE_OPTIONS: dict[str, object] = {
    "dtype": "float32",
    "enforce_eager": True,
    "kv_cache_memory_bytes": 256 * 1024 * 1024,
    "max_num_seqs": 64,
    "max_num_batched_tokens": 2048,
    "enable_prefix_caching": True,
    "seed": 0,
}
_CONTEXT_WINDOW = 1024
_CHAT_PROBE = json_body({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1})
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""For whoever is measured: libraries compute on one core."""
_PEER_VARIABLES = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "75",  # as ours; its own 5 s can end a connection that waits for its turn
}


@dataclass(frozen=True)
class Server:
    """A running server that has answered a request."""

    name: str
    command: str
    pid: int
    port: int
    path: str
    key: str | None


class ServerFailed(Exception):
    """A server did not come up; the message names its log."""


@contextmanager
def hearth(weights: Path, folder: Path, engines_python: Path) -> Iterator[Server]:
    """Our server, with the chat model as its only backend; data and log below `folder`."""
    path = "/oai/v1/chat/completions"
    with hearth_with(_backend(weights), folder, engines_python, path=path, probe=_CHAT_PROBE) as server:
        yield server


@contextmanager
def hearth_with(
    backend: dict[str, object], folder: Path, engines_python: Path, *, path: str, probe: Body
) -> Iterator[Server]:
    """Our server with one backend, once it has answered `probe` at `path`."""
    models_dir, data_dir = folder / "models", folder / "data"
    models_dir.mkdir(parents=True, exist_ok=True)
    (models_dir / "bench.yaml").write_text(json.dumps(backend, indent=2))  # JSON is YAML
    environment = os.environ | ONE_THREAD
    environment |= {
        "PYTHONPATH": str(ROOT),
        "HEARTH_DATA_DIR": str(data_dir),
        "HEARTH_MODELS_DIR": str(models_dir),
        "HEARTH_ENGINES_PYTHON": str(engines_python),
        "HEARTH_DRAIN_GRACE_S": "0",
    }
    program = [sys.executable, "-m", "server"]
    made = subprocess.run(
        [*program, "keys", "create", "bench", "--admin", "--json"],
        env=environment,
        capture_output=True,
        check=True,
    )
    key = json.loads(made.stdout)["key"]
    port = free_port()
    command = [*program, "serve", "--port", str(port)]
    with process_group(command, environment, folder / "hearth.log") as process:
        server = Server("Hearth", "python -m server serve", process.pid, port, path, key)
        yield when_ready(server, process, folder / "hearth.log", probe)


@contextmanager
def peer(weights: Path, folder: Path, engines_python: Path) -> Iterator[Server]:
    """vLLM's own server in the same engine environment: its defaults, request and access logs off."""
    packages = folder / "packages"
    environment = os.environ | ONE_THREAD | _PEER_VARIABLES
    environment |= {
        "PYTHONPATH": str(packages),
        "VLLM_CACHE_ROOT": str(folder / "data" / "cache" / "vllm"),
    }
    _install_peer_packages(engines_python, packages, environment)
    flags = peer_flags(weights)
    port = free_port()
    module = ["-m", "vllm.entrypoints.openai.api_server"]
    command = [str(engines_python), *module, *flags, "--host", "127.0.0.1", "--port", str(port)]
    with process_group(command, environment, folder / "vllm.log") as process:
        shown = " ".join(["python", *module, *peer_flags(Path("MODEL"))])
        server = Server("vllm serve", shown, process.pid, port, "/v1/chat/completions", None)
        yield when_ready(server, process, folder / "vllm.log", _CHAT_PROBE)


def peer_flags(weights: Path) -> list[str]:
    """ENGINE_OPTIONS and what our engine sets by itself, as vLLM's command line has them."""
    flags = ["--model", str(weights), "--served-model-name", MODEL, "--max-model-len", str(_CONTEXT_WINDOW)]
    for name, value in ENGINE_OPTIONS.items():
        flag = "--" + name.replace("_", "-")
        flags += [flag] if value is True else [flag, str(value)]
    flags += ["--scheduling-policy", "priority", "--distributed-executor-backend", _UNIPROC]
    return [*flags, "--no-enable-log-requests", "--disable-uvicorn-access-log"]


def _backend(weights: Path) -> dict[str, object]:
    return {
        "engine": "vllm_chat",
        "modality": "chat",
        "frontends": [MODEL],
        "weights": str(weights),
        "licence": "as the model's",
        "context_window": _CONTEXT_WINDOW,
        "preload": True,
        "limits": {"max_concurrency": ENGINE_OPTIONS["max_num_seqs"]},
        "options": dict(ENGINE_OPTIONS),
    }


def _install_peer_packages(engines_python: Path, packages: Path, environment: dict[str, str]) -> None:
    probe = [str(engines_python), "-c", _PEER_PROBE]
    if subprocess.run(probe, env=environment, capture_output=True, check=False).returncode != 0:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages)]
        subprocess.run([*pip, *PEER_PACKAGES], check=True)


@contextmanager
def process_group(
    command: list[str], environment: dict[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process group that is gone afterwards."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def when_ready(server: Server, process: "subprocess.Popen[bytes]", log: Path, probe: Body) -> Server:
    """Returns when the model has answered `probe`. Raises ServerFailed."""
    headers = {"Content-Type": probe.content_type}
    headers |= {"Authorization": f"Bearer {server.key}"} if server.key else {}
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            url = f"http://127.0.0.1:{server.port}{server.path}"
            if httpx.post(url, content=probe.content, headers=headers, timeout=60.0).status_code == 200:
                return server
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise ServerFailed(f"{server.name} did not become ready: see {log}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
