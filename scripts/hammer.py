"""Asks five models at random on a server whose memory holds two, and looks from outside at what happens.

    python scripts/hammer.py
    python scripts/hammer.py --seconds 600 --publish

Prints a table whose bold rows must be 0, and exits with 1 if one is not. Measures first what each model needs alone,
then allows what the two largest need. Logs and figures stay in .hearth/hammer/. Needs Linux and the engines.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark import stamp
from benchmark.report import insert
from hammering import picture, report, running
from hammering.judging import Verdict
from hammering.questions import ROOT, questions
from proof.site import HEARTH, Nursery, Site
from proof.site import running as site_running

FOLDER = Path(".hearth/hammer")
RUNS: Mapping[str, tuple[str, ...]] = {
    "with chat": ("chat", "embed", "image", "transcribe", "speech"),
    "without chat": ("embed", "image", "rerank", "transcribe", "speech"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    given = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["python", "scripts/hammer.py", *given])
    is_clean = True
    for title in options.only or RUNS:
        name = title.replace(" ", "-")
        folder = FOLDER.resolve() / name
        shutil.rmtree(folder, ignore_errors=True)
        verdict = _run(folder, RUNS[title], options)
        is_clean &= not verdict.findings
        text = f"{_heading(command, options.seed)}\n\n{report.render(title, verdict)}"
        print("\n".join(["", text, *verdict.findings]), flush=True)
        (folder / "findings.txt").write_text("\n".join([text, *verdict.findings]))
        (folder / "hammer.svg").write_text(picture.render(title, verdict))
        if options.publish:
            _publish(name, text, folder)
    sys.exit(0 if is_clean else 1)


def _publish(name: str, text: str, folder: Path) -> None:
    page = ROOT / "docs/benchmarks.md"
    page.write_text(insert(page.read_text(), text, f"hammer-{name}"))
    shutil.copy(folder / "hammer.svg", ROOT / f"docs/hammer-{name}.svg")


def _run(folder: Path, kinds: Sequence[str], options: argparse.Namespace) -> Verdict:
    models = folder / "models"
    models.mkdir(parents=True)
    (models / "starter").symlink_to(ROOT / "model_configs/starter")
    for kind in kinds:
        shutil.copy(ROOT / f"model_configs/starter-{kind}.yaml", models)
    nursery = Nursery(HEARTH)
    site = Site(nursery, folder, engines_python=str(engines_python()), **running.SERVER_SETTINGS)
    pool = {f"starter/{kind}": questions(kind, f"starter/{kind}") for kind in kinds}
    plan = running.Plan(pool, options.seconds, options.seed, num_clients=options.clients, tell=_tell)
    with site_running(site):
        try:
            return running.run(site, plan)
        finally:
            nursery.close()


def engines_python() -> Path:
    """As for the server: what the setting names, else the environment of this checkout."""
    named = os.environ.get("HEARTH_ENGINES_PYTHON")
    return Path(named) if named else ROOT / ".hearth/engines/cpu/bin/python"


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S', time.gmtime())} {text}", flush=True)


def _heading(command: str, seed: int) -> str:
    return f"- {stamp.now()}, commit {stamp.commit()}: `{command}`, seed {seed}.\n- {stamp.machine()}."


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Hammer five models on the memory of two.")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long each run asks")
    parser.add_argument("--clients", type=int, default=40, help="requests at once")
    parser.add_argument("--seed", type=int, default=1, help="draws models, questions and pauses")
    parser.add_argument("--only", action="append", choices=RUNS, help="one of the runs")
    parser.add_argument("--publish", action="store_true", help="write table and plot into docs/")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
