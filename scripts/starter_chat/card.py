"""The model card: what the starter chat model is, how it was made and what was measured."""

from dataclasses import dataclass
from pathlib import Path

from starter_chat.evaluate import Score
from starter_chat.training import Progress

MADE_BY = "## Made by\n"
TEXT = """\
---
license: apache-2.0
language: en
pipeline_tag: text-generation
---
# starter/chat

A chat model of {parameters:.1f} million parameters that Hearth trains itself, so that everything can be
tried on a machine without a GPU. It is small on purpose: for first steps and tests, not for real work.

It lives in a closed world of some 250 words, 50 names, 80 cities and 22 countries. Inside it answers
questions, fills in JSON, calls tools and uses their results. Outside it answers wrongly or says that it
does not know.

## Format
Qwen3 (`Qwen3ForCausalLM`) with a ChatML template. Tool calls are JSON inside `<tool_call>` (tool parser
`hermes`). It thinks only when the template is given `enable_thinking: true`. A known word is one token,
any other word is spelled. Contexts of up to {context} tokens are accepted, training used up to about
350. The default temperature is {temperature}.

## Measured
Greedy answers to {asked} questions of each kind, equal to the expected answer word for word. Questions
come from the twelfth that training keeps out, with these exceptions. Greetings, identity, facts, lists,
the calendar, jokes, stories and JSON facts are few and learnt by heart; memory and requests that no tool
fits are drawn like those of training; a request to a tool may have come up earlier in a training dialogue.

| kind | exact | stopped by itself |
| --- | --- | --- |
{rows}

All kinds together: {exact:.3f} exact, {stopped:.3f} stopped.

{made_by}`{command}`

Seed {seed}, {steps} steps, {tokens:.1f} million tokens, {minutes:.0f} minutes of training on {machine}.
All data is drawn by the script.
{ancestor}"""


@dataclass(frozen=True)
class Origin:
    """How a model came about, for its card."""

    command: str
    seed: int
    machine: str
    num_parameters: int
    context: int
    temperature: float
    progress: Progress
    ancestor: str | None


def write_card(origin: Origin, scores: list[Score]) -> str:
    rows = "\n".join(_row(score) for score in scores)
    num_asked = sum(score.num_asked for score in scores)
    return TEXT.format(
        parameters=origin.num_parameters / 1e6,
        context=origin.context,
        temperature=origin.temperature,
        asked=scores[0].num_asked,
        rows=rows,
        exact=sum(score.num_exact for score in scores) / num_asked,
        stopped=sum(score.num_stopped for score in scores) / num_asked,
        made_by=MADE_BY,
        command=origin.command,
        seed=origin.seed,
        steps=origin.progress.steps,
        tokens=origin.progress.tokens / 1e6,
        minutes=origin.progress.elapsed_s / 60,
        ancestor=f"\nIt went on from a model made by\n\n{origin.ancestor}" if origin.ancestor else "",
        machine=origin.machine,
    )


def read_origin(folder: Path) -> str:
    """How the model in ``folder`` came about, from its card."""
    return (folder / "README.md").read_text().split(MADE_BY)[1]


def _row(score: Score) -> str:
    exact, stopped = score.num_exact / score.num_asked, score.num_stopped / score.num_asked
    return f"| {score.kind} | {exact:.2f} | {stopped:.2f} |"
