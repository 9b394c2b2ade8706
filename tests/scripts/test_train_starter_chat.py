"""The starter chat model's data, chat template and training script; needs the engines' environment."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("torch", reason="needs the engines' environment")
pytest.importorskip("transformers", reason="needs the engines' environment")

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from starter_chat import dialogues, json_skills, skills, words  # noqa: E402
from starter_chat.batches import IGNORED, mark_answers  # noqa: E402
from starter_chat.card import Origin, write_card  # noqa: E402
from starter_chat.evaluate import Score, expected_answer  # noqa: E402
from starter_chat.tokenizer import END_OF_TURN, build_tokenizer, render, render_prompt  # noqa: E402
from starter_chat.training import Progress  # noqa: E402
from starter_chat.turns import Skill  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast  # noqa: E402

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Where"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city"],
        },
    },
}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(seed=0, num_dialogues=500)


def test_the_same_seed_draws_the_same_dialogues() -> None:
    first, second = Random(3), Random(3)

    drawn = [dialogues.draw_training_dialogue(first) for _ in range(50)]

    assert drawn == [dialogues.draw_training_dialogue(second) for _ in range(50)]


@pytest.mark.parametrize("kind", dialogues.scored_kinds())
def test_prompt_and_answer_make_up_the_training_text(tokenizer: PreTrainedTokenizerFast, kind: str) -> None:
    """Text and tokens: what the model sees when it is asked is how the training text begins."""
    rng = Random(kind)

    for _ in range(20):
        dialogue = dialogues.draw_scored_dialogue(rng, kind)
        prompt, whole = render_prompt(tokenizer, dialogue), render(tokenizer, dialogue)

        assert whole == prompt + expected_answer(tokenizer, dialogue) + END_OF_TURN + "\n"
        assert tokenizer.encode(whole)[: len(tokenizer.encode(prompt))] == tokenizer.encode(prompt)


@pytest.mark.parametrize("kind", dialogues.scored_kinds())
def test_loss_falls_on_what_the_assistant_says(tokenizer: PreTrainedTokenizerFast, kind: str) -> None:
    dialogue = dialogues.draw_scored_dialogue(Random(kind), kind)
    ids = tokenizer.encode(render(tokenizer, dialogue))

    labels = mark_answers(tokenizer, ids)

    said = tokenizer.decode([label for label in labels if label != IGNORED])
    assert said.endswith(expected_answer(tokenizer, dialogue) + END_OF_TURN)
    assert said.count(END_OF_TURN) == sum(message["role"] == "assistant" for message in dialogue.messages)
    assert "<think>" not in said


@pytest.mark.parametrize("skill", [*skills.SKILLS, *json_skills.JSON_SKILLS], ids=lambda skill: skill.kind)
def test_held_out_questions_never_appear_in_training(skill: Skill) -> None:
    rng = Random(1)

    training = {dialogues.draw_turn(rng, skill, held_out=False).user for _ in range(200)}
    held_out = {dialogues.draw_turn(rng, skill, held_out=True).user for _ in range(20)}

    assert not skill.is_open or training.isdisjoint(held_out)


@pytest.mark.parametrize("skill", json_skills.JSON_SKILLS, ids=lambda skill: skill.kind)
def test_json_answers_are_json(skill: Skill) -> None:
    rng = Random(2)

    for _ in range(50):
        assert json.loads(skill.draw(rng).answer)


def test_known_words_are_single_tokens_and_anything_survives(tokenizer: PreTrainedTokenizerFast) -> None:
    known = [*words.WORDS, *words.CITIES[:3], "Paris", *(f" {word}" for word in words.NAMES)]
    strange = "Grüße, Zanzibar_99!\n\n\t{'x': [1.5]}  \u4f60 <tool_call></think>"

    assert [word for word in known if len(tokenizer.encode(word)) != 1] == []
    assert tokenizer.decode(tokenizer.encode(strange)) == strange


def test_template_shows_tools_in_one_line_each(tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
    ]

    text = tokenizer.apply_chat_template(
        messages, tools=[WEATHER], tokenize=False, add_generation_prompt=True
    )

    assert text == (
        "<|im_start|>system\nBe brief.\n\nTools:\n"
        "get_weather(city: string, unit?: celsius|fahrenheit): Get the weather\n"
        "When a tool fits, answer with <tool_call>.<|im_end|>\n"
        "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("arguments", [{"city": "Oslo"}, '{"city": "Oslo"}'])
def test_template_takes_arguments_as_an_object_or_as_text(
    tokenizer: PreTrainedTokenizerFast, arguments: dict[str, str] | str
) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call, call]},
        {"role": "tool", "tool_call_id": "1", "content": "21"},
    ]

    text = tokenizer.apply_chat_template(messages, tokenize=False)

    said = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
    assert text == (f"<|im_start|>assistant\n{said}\n{said}<|im_end|>\n<|im_start|>tool\n21<|im_end|>\n")


def test_template_opens_a_thought_only_when_asked(tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [{"role": "user", "content": "Hello"}]

    plain = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    thinking = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, enable_thinking=True
    )

    assert thinking == plain + "<think>\n"


def test_card_states_what_was_measured() -> None:
    origin = Origin(
        command="python x.py",
        seed=7,
        machine="2 CPU cores",
        num_parameters=1_400_000,
        context=2048,
        temperature=0.2,
        progress=Progress(100, 2_500_000, 120.0),
        ancestor="`python earlier.py`",
    )

    card = write_card(origin, [Score("echo", 50, 40, 50)])

    assert "| echo | 0.80 | 1.00 |" in card
    assert "It went on from a model made by\n\n`python earlier.py`" in card
    assert "Seed 7, 100 steps, 2.5 million tokens, 2 minutes of training on 2 CPU cores." in card


def test_script_writes_a_loadable_folder_with_template_and_card(tmp_path: Path) -> None:
    folder = tmp_path / "chat"
    script = [sys.executable, str(SCRIPTS / "train_starter_chat.py"), "--out", str(folder)]
    script += ["--steps", "3", "--questions", "1", "--vocabulary-dialogues", "300"]

    subprocess.run(script, check=True, timeout=300, cwd=tmp_path, capture_output=True)

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    end = tokenizer.convert_tokens_to_ids(END_OF_TURN)
    assert model.config.vocab_size == len(tokenizer)
    assert (model.generation_config.eos_token_id, tokenizer.eos_token_id) == (end, end)
    assert tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False) == (
        "<|im_start|>user\nHi<|im_end|>\n"
    )
    assert (folder / "README.md").read_text().startswith("---\nlicense: apache-2.0\n")
