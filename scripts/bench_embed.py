"""Measures embeddings: Hearth against the bare library and against a plain FastAPI wrapper.

    python scripts/bench_embed.py --rounds 5
    python scripts/bench_embed.py --model ~/models/all-MiniLM-L6-v2 --threads 2

Prints a table and writes all samples to .hearth/bench/.
"""

import argparse
import signal
import sys
from pathlib import Path

from benchmark import embed

from server.engine_envs import python_for
from server.settings import load_settings


def main() -> None:
    options = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all three are stopped then, too
    folder = Path(".hearth/bench/embed").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    samples = embed.measure(
        options.model.expanduser().resolve(),
        folder,
        python_for("st_embed", load_settings()),
        num_rounds=options.rounds,
        num_threads=options.threads,
    )
    about = {"model": options.model.name, "threads": str(options.threads)}
    (folder / "samples.json").write_text(embed.as_json(samples, about))
    print(f"{embed.table(samples)}\n\nEverything measured: {folder / 'samples.json'}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure embeddings against the bare library.")
    parser.add_argument("--model", type=Path, default=Path("model_configs/starter/embed"), help="its folder")
    parser.add_argument("--rounds", type=int, default=5, help="how often each load is given to each")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch, for all three")
    return parser.parse_args()


if __name__ == "__main__":
    main()
