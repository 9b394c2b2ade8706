"""Completion in real shells; zsh and fish where they are installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.cli.conftest import Hearth

ROOT = Path(__file__).resolve().parents[3]
ASK = {
    "bash": 'COMP_WORDS=(hearth engines b); COMP_CWORD=2; _hearth_completion hearth; echo "${COMPREPLY[@]}"',
    "fish": "complete --do-complete 'hearth engines b'",
}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with the command `hearth` of this code."""
    file = tmp_path / "bin" / "hearth"
    file.parent.mkdir()
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv[0] = 'hearth'"
    file.write_text(f"#!{sys.executable}\n{code}\nfrom server.__main__ import main\nmain()\n")
    file.chmod(0o755)
    return file.parent


def complete(shell: str, script: str, question: str, program: Path, **settings: str) -> str:
    environment = os.environ | {"PATH": f"{program}:{os.environ['PATH']}"} | settings
    result = subprocess.run(
        [shell, "-c", f"{script}\n{question}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_shell_completes_a_command(hearth: Hearth, program: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    script = hearth("completion", shell).stdout

    assert complete(shell, script, ASK[shell], program).split()[:1] == ["bundle"]


def test_bash_completes_names_of_models(hearth: Hearth, program: Path, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("frontends: [acme/chat, acme/code]\n")
    script = hearth("completion", "bash").stdout
    question = ASK["bash"].replace("engines b", "load acme/c")

    found = complete("bash", script, question, program, HEARTH_MODELS_DIR=str(tmp_path))

    assert found.split() == ["acme/chat", "acme/code"]


def test_zsh_gets_a_script_of_its_own(hearth: Hearth) -> None:
    assert hearth("completion", "zsh").stdout.startswith("#compdef hearth")


def test_unknown_shell_is_refused(hearth: Hearth) -> None:
    assert hearth("completion", "tcsh").exit_code != 0
