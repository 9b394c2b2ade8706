"""`hearth doctor`: what keeps Hearth from working on this machine, each with its fix."""

from typing import Annotated

import typer
from rich.text import Text

from server.cli.terminal import AsJson, console, load_settings_or_fail, print_json
from server.doctor import Finding, Verdict, examine

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.PROBLEM: "red"}


def doctor(
    imports: Annotated[
        bool,
        typer.Option("--imports/--no-imports", help="Import every library of the engines; takes a while."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Check this machine and the settings. The status is 1 if there is a problem; warnings do not count."""
    findings = []
    for finding in examine(load_settings_or_fail(), with_imports=imports):
        findings.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        print_json(findings)
    if any(finding.verdict is Verdict.PROBLEM for finding in findings):
        raise typer.Exit(1)


def _show(finding: Finding) -> None:
    line = Text(f"{finding.verdict.value:<8}", style=_COLOURS[finding.verdict])
    shown = console()
    shown.print(line.append(f" {finding.check}: {finding.found}", style="default"), soft_wrap=True)
    if finding.fix is not None:
        shown.print(Text(f"         {finding.fix}"), soft_wrap=True)
