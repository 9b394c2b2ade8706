"""The starter embedder's and reranker's data, figures and training scripts; needs the engines' environment.

The teacher here is an untrained model, so the real one need not be installed.
"""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("torch", reason="needs the engines' environment")
pytest.importorskip("sentence_transformers", reason="needs the engines' environment")

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from sentence_transformers import CrossEncoder, SentenceTransformer  # noqa: E402
from starter_embed import corpus, rankings, templates  # noqa: E402
from starter_embed.corpus import FreeText  # noqa: E402
from starter_embed.evaluate import Exam, score  # noqa: E402
from starter_embed.rerank_training import _back_in_order, _of_like_length  # noqa: E402
from starter_embed.student import build_student, principal_directions, save_student  # noqa: E402
from starter_embed.templates import Pair, Templates  # noqa: E402
from starter_embed.tokenizer import build_tokenizer  # noqa: E402
from starter_embed.training import Lesson, _batches, _partners  # noqa: E402
from torch.nn.functional import normalize  # noqa: E402

WORDS = ["river", "banker", "violet", "engine", "winter", "letter", "garden"]
FREE = FreeText(singles=["a library for violets", "tools for bankers"], pairs=[], held_out=["a kept text"])


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    tokenizer = build_tokenizer(["what a river"], WORDS, size=200)
    save_student(folder, build_student(tokenizer, torch.zeros(len(tokenizer), 8), seed=0), tokenizer)
    return folder


def test_the_same_seed_draws_the_same_groups() -> None:
    first = corpus.draw_groups(Random(3), WORDS, free=FREE, num_groups=200)
    second = corpus.draw_groups(Random(3), WORDS, free=FREE, num_groups=200)

    assert first == second


def test_every_slot_of_a_phrasing_has_a_list_of_words() -> None:
    lists = templates._read_lists()
    text = (templates.FOLDER / "meanings.txt").read_text() + (templates.FOLDER / "answers.txt").read_text()
    slots = {match[2] for match in templates._SLOT.finditer(text)} - {"list"}

    assert slots - lists.keys() == set()


def test_both_texts_of_a_pair_take_the_same_words() -> None:
    """Words in slots come from one list entry, so the wide word that fills a slot is in both texts."""
    drawn = [Templates(["qwertyuiop"]).draw_paraphrase(Random(seed)) for seed in range(200)]
    found = [pair for pair in drawn if "qwertyuiop" in pair.first.lower()]

    assert len(found) > 20
    assert sum("qwertyuiop" in pair.second.lower() for pair in found) > 0.8 * len(found)


def test_pairs_by_hand_are_many_and_all_different() -> None:
    texts = [text for pair in corpus.read_held_out_pairs() for text in pair]

    assert len(texts) >= 120
    assert len(set(texts)) == len(texts)


def test_texts_by_hand_never_appear_in_training() -> None:
    held_out = corpus.read_held_out_pairs()[0]
    free = FreeText(singles=[held_out.first, "something else"], pairs=[held_out], held_out=[])

    groups = corpus.draw_groups(Random(0), WORDS, free=free, num_groups=100)

    assert not {text for group in groups for text in group} & set(held_out)


def test_free_text_that_is_held_out_is_not_among_the_rest() -> None:
    free = corpus.read_free_text()

    kept = {*free.singles, *(pair.first for pair in free.pairs)}
    assert len(free.held_out) > 10
    assert not kept & set(free.held_out)


def test_rankings_by_hand_have_one_answer_first_among_five() -> None:
    for block in rankings.HELD_OUT_RANKINGS.read_text().strip().split("\n\n"):
        assert [line[:2] for line in block.split("\n")] == ["? ", "+ ", "- ", "- ", "- ", "- "]


def test_strangers_are_answers_to_other_queries() -> None:
    lists = rankings.with_strangers(rankings.read_held_out_rankings())

    answers = {ranking.passages[0] for ranking in lists}
    assert all(len(set(ranking.passages)) == 5 for ranking in lists)
    assert all(set(ranking.passages) <= answers for ranking in lists)


def test_drawn_ranking_begins_with_the_partner_and_targets_follow_the_teacher() -> None:
    vectors = normalize(torch.randn(40, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    pairs = [(index, index + 20) for index in range(20)]

    drawn = [scored for batch in rankings.draw_scored(Random(0), pairs, vectors) for scored in batch]

    assert sorted(scored.query for scored in drawn) == list(range(20))
    for scored in drawn:
        assert (scored.passages[0], scored.targets[0]) == (scored.query + 20, 1.0)
        assert scored.passages[0] not in scored.passages[1:]
        assert all(0 <= target <= 0.5 for target in scored.targets[1:])


def test_rows_come_back_in_their_order() -> None:
    rows = [([0] * length, [number]) for number, length in enumerate((5, 1, 40, 3, 2) * 10)]

    sorted_rows = [row for part in _of_like_length(rows) for row in part]

    assert [sorted_rows[index] for index in _back_in_order(rows)] == rows


def test_batches_hold_every_group_once_and_few_tokens() -> None:
    ids = [[0] * (5 + index % 50) for index in range(1000)]
    groups: list[tuple[int, ...]] = [(index, index + 1) for index in range(0, 900, 2)]
    groups += [(index,) for index in range(900, 1000)]
    batches = _batches(Lesson(ids, torch.zeros(0), torch.zeros(0), groups), Random(0))

    seen: list[tuple[int, ...]] = []
    while len(seen) < len(groups):
        batch = next(batches)
        longest = max(len(ids[index]) for group in batch for index in group)
        assert longest * sum(map(len, batch)) <= 3400
        seen += batch

    assert sorted(seen) == sorted(groups)


def test_partners_are_places_in_the_batch() -> None:
    assert _partners([(7,), (3, 9), (1,), (4, 5)]).tolist() == [[1, 2], [4, 5]]
    assert _partners([(7,)]).tolist() == []


def test_principal_directions_keep_products() -> None:
    vectors = normalize(torch.randn(500, 300) * torch.linspace(2, 0, 300), dim=1)

    projected = vectors @ principal_directions(vectors)

    assert torch.allclose(projected @ projected.T, vectors @ vectors.T, atol=0.02)
    assert projected[:, 0].norm() > projected[:, 100].norm() > projected[:, 255].norm()


def test_score_counts_partners_and_compares_with_the_teacher() -> None:
    vectors = normalize(torch.tensor([[1.0, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0, 0.1, 1]]), dim=1)
    exam = Exam([Pair("a", "b"), Pair("c", "d")], ["a", "b", "c", "d"], vectors, vectors)

    result = score("it", exam, vectors, vectors, dimensions=3)

    assert result.accuracy == 0.75
    assert result.pairs_correlation == pytest.approx(1.0)
    assert result.partner_cosine > result.stranger_cosine


def test_scripts_write_loadable_folders_with_cards(teacher: Path, tmp_path: Path) -> None:
    embed, rerank, vectors = tmp_path / "embed", tmp_path / "rerank", tmp_path / "vectors.safetensors"
    shared = ["--teacher", str(teacher), "--groups", "300", "--steps", "3", "--vectors", str(vectors)]
    train_embed = ["train_starter_embed.py", "--out", str(embed), "--vocabulary", "600"]
    train_rerank = ["train_starter_rerank.py", "--out", str(rerank), "--embedder", str(embed)]

    for script in (train_embed, train_rerank):
        command = [sys.executable, str(SCRIPTS / script[0]), *script[1:], *shared]
        subprocess.run(command, check=True, timeout=300, cwd=tmp_path, capture_output=True)

    embedder = SentenceTransformer(str(embed), device="cpu", local_files_only=True)
    reranker = CrossEncoder(str(rerank), device="cpu", local_files_only=True)
    vector = embedder.encode("a river", truncate_dim=64, normalize_embeddings=True)
    assert (vector.shape, float((vector**2).sum())) == ((64,), pytest.approx(1.0, abs=1e-4))
    assert embedder.max_seq_length == reranker.max_seq_length == 256
    assert next(embedder.parameters()).dtype == torch.float32
    assert load_file(embed / "model.safetensors")["embeddings.LayerNorm.weight"].dtype == torch.float16
    assert json.loads((embed / "config_sentence_transformers.json").read_text())["prompts"] == {}
    assert 0 < reranker.predict([("a river", "a garden")])[0] < 1
    for folder in (embed, rerank):
        assert (folder / "README.md").read_text().startswith("---\nlicense: apache-2.0\n")
