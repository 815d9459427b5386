"""What a change of a recipe folder touches, re-runs, costs, and asks of the version."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.builders import RECIPE, REPOSITORY, SEED, TEXTS, changed, xirecipe
from tests.reviewing.repositories import Repository
from xirecipe import tables
from xirecipe.artifact import Manifest
from xirecipe.columns import CORE, columns_after
from xirecipe.compile import compile_recipe
from xirecipe.reviewing.bumps import Least, version_notes
from xirecipe.settings import from_environment
from xirecipe.store import Store


def rows(*more: str) -> list[dict[str, str]]:
    return [{"id": str(i), "text": text} for i, text in enumerate([*TEXTS, *more])]


def finish(repo: Repository, instruction: str) -> None:
    """Leave the artifacts of a run behind, whose instructions say `instruction`."""
    store = Store(from_environment().store)
    for stage in compile_recipe(repo.folder.root / "tiny.yaml").stages:
        artifact = store.artifact(stage.kind, stage.fingerprint)
        store.start(artifact)
        made = [{"document_id": str(i), "text": f"t{i}", "instruction": f"{instruction} {i}"} for i in range(5)]
        tables.write(artifact.data, made, columns_after(stage.kind))
        artifact.write_manifest(Manifest(stage.kind, stage.fingerprint, stage.payload, 5, 5, 5))


def test_nothing_differs_and_no_recipe_is_touched(repo: Repository) -> None:
    found = repo.review()
    assert (found.files, found.recipes, found.untouched) == ((), (), 1)
    assert "No recipe is touched." in xirecipe("plan", "recipes", "--against", "main", "--format", "markdown").out


def test_a_threshold_reruns_what_follows_it_and_costs_no_call(repo: Repository) -> None:
    repo.folder.recipe({"select.min_score": 2.5})
    one = repo.one()
    (profile,) = one.profiles
    assert [(s.label, s.by_itself) for s in profile.stages or ()] == [
        ("select", True), ("messages", False), ("split", False),
    ]  # fmt: skip
    assert profile.stages is not None
    assert profile.stages[0].why == "select.min_score: 2.0 → 2.5"
    assert profile.bill.calls.known == 0
    (key,) = one.keys
    assert (key.path, key.old, key.new) == (("select", "min_score"), 2, 2.5)
    assert key.new_span is not None
    assert key.new_span.file == "recipes/tiny.yaml"
    assert one.least == Least("MAJOR", "rows may change: select (select.min_score: 2.0 → 2.5)")


@pytest.mark.parametrize(
    ("name", "content", "stage"),
    [
        ("prompts/write.j2", "{{ text }} other", "generate"),
        (
            "seed.jsonl",
            json.dumps({"instruction": "a", "response": "b"}) + "\n" + json.dumps(SEED[0]) + "\n",
            "generate",
        ),
        ("texts.jsonl", json.dumps({"id": "9", "text": "mpya kabisa"}) + "\n", "corpus"),
        ("languages/swh_Latn.yaml", None, "corpus"),
    ],
)
def test_a_change_of_whatever_a_recipe_reads_touches_it(repo: Repository, name: str, content: str, stage: str) -> None:
    repo.folder.write(name, content or repo.folder.read(name).replace("min_score: 0.2", "min_score: 0.3"))
    one = repo.one()
    assert one.files == (name,)
    assert one.profiles[0].stages is not None
    assert one.profiles[0].stages[0].label == stage


def test_a_base_touches_the_recipes_over_it_and_no_other(repo: Repository) -> None:
    base = {k: v for k, v in RECIPE.items() if k != "name"}
    repo.folder.write("bases/b.yaml", base)
    repo.folder.write("over.yaml", {"extends": "bases/b.yaml", "name": "over"})
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.folder.write("bases/b.yaml", changed(base, {"split": {"seed": 3}}))
    found = repo.review()
    assert [(r.file, r.files) for r in found.recipes] == [("over.yaml", ("bases/b.yaml",))]
    assert found.untouched == 1
    assert [k.path for k in found.recipes[0].keys] == [("split", "seed")]


def test_calls_tokens_and_gpu_hours_come_from_declared_rates(repo: Repository) -> None:
    repo.folder.recipe({"rates.writer": {"tokens_per_second": 10, "dollars_per_million_prompt_tokens": 1000}})
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.folder.write("prompts/write.j2", repo.folder.read("prompts/write.j2") + "!")
    bill = repo.one().profiles[0].bill
    assert bill.calls.known == 6
    assert bill.gpu_hours.known == pytest.approx(bill.tokens.known / 10 / 3600)
    assert bill.dollars.known == pytest.approx(bill.tokens.known / 1000)
    assert bill.gpu_hours.unknown == 0


def test_without_rates_hours_and_money_are_unknown_and_say_so(repo: Repository) -> None:
    repo.folder.write("prompts/write.j2", repo.folder.read("prompts/write.j2") + "!")
    bill = repo.one().profiles[0].bill
    assert (bill.gpu_hours.unknown, bill.dollars.unknown) == (2, 2)
    out = xirecipe("plan", "recipes", "--against", "main", "--format", "markdown").out
    assert "| MAJOR | 7 of 9 stages | 6 | " in out
    assert " | ? | ? |\n" in out
    assert "`?`: not known before a run" in out


def test_a_source_of_unknown_size_is_costed_for_each_thousand_documents(repo: Repository) -> None:
    source = {"format": "hub", "repository": "a/b", "revision": "0" * 40, "files": "*.parquet", "license": "odc-by"}
    repo.folder.recipe({"corpus.sources": {"web": source}})
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.folder.write("prompts/write.j2", "{{ text }} other")
    bill = repo.one().profiles[0].bill
    assert (bill.calls.known, bill.calls.unknown, bill.documents) == (2_000, 0, 1_000)
    arguments = ("plan", "recipes", "--against", "main")
    assert "| 7 of 9 stages | 2,000\\* |" in xirecipe(*arguments, "--format", "markdown").out
    assert "for each 1,000 documents read" in xirecipe(*arguments).out
    repo.folder.recipe({"corpus.sources": {"web": {**source, "documents": 50}}})
    bill = repo.one().profiles[0].bill
    assert (bill.calls.known, bill.documents) == (100, None)


def test_a_finished_run_leaves_nothing_to_pay(repo: Repository) -> None:
    repo.folder.write("prompts/write.j2", "{{ text }} other")
    finish(repo, "new")
    profile = repo.one().profiles[0]
    assert (profile.to_run, profile.bill.calls.known) == (0, 0)
    assert len(profile.stages or ()) == 7


def test_an_added_and_a_deleted_recipe_are_told_apart(repo: Repository) -> None:
    repo.folder.recipe(name="new.yaml")
    (repo.folder.root / "tiny.yaml").unlink()
    found = {r.file: r for r in repo.review().recipes}
    assert (found["new.yaml"].status, found["tiny.yaml"].status) == ("added", "deleted")
    assert found["new.yaml"].profiles[0].to_run == len(CORE)
    assert found["new.yaml"].versions == (None, "1.0.0-dev")
    assert found["tiny.yaml"].profiles[0].to_run == 0


def test_new_and_fixed_diagnostics_are_told_apart_from_those_that_stay(repo: Repository) -> None:
    repo.folder.recipe({"select.rows": 0, "split": {"test_ratio": 2}})
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.folder.write("tiny.yaml", "# moved down\n\n" + repo.folder.read("tiny.yaml").replace("rows: 0", "rowz: 1"))
    one = repo.one()
    assert [d.message for d in one.new] == ["`rowz` is not a key of `select`"]
    assert [d.message for d in one.fixed] == ["`select.rows` must be at least 1, not 0"]
    assert one.remaining == 1
    assert one.new[0].span is not None
    assert one.new[0].span.file == "recipes/tiny.yaml"
    assert one.profiles[0].stages is None


def test_documents_that_are_only_added_are_at_least_a_minor_step(repo: Repository) -> None:
    repo.folder.json_lines("texts.jsonl", rows("Habari mpya za leo."))
    least = repo.one().least
    assert least is not None
    assert (least.bump, least.is_bound) == ("MINOR", True)


@pytest.mark.parametrize("texts", [rows()[1:], [*rows()[::-1], {"id": "9", "text": "mpya"}]])
def test_documents_that_go_or_move_are_a_major_step(repo: Repository, texts: Any) -> None:
    repo.folder.json_lines("texts.jsonl", texts)
    least = repo.one().least
    assert least is not None
    assert least.bump == "MAJOR"


def test_a_source_behind_the_others_only_adds_and_one_before_them_does_not(repo: Repository) -> None:
    more = {"format": "jsonl", "path": "more.jsonl", "license": "cc0-1.0"}
    repo.folder.json_lines("more.jsonl", [{"id": "m", "text": "Maneno mengine."}])
    web = RECIPE["corpus"]["sources"]["web"]
    bumps = []
    for sources in ({"web": web, "more": more}, {"more": more, "web": web}):
        repo.folder.recipe({"corpus.sources": sources})
        least = repo.one().least
        bumps.append(least and least.bump)
    assert bumps == ["MINOR", "MAJOR"]


def test_words_of_the_card_are_a_patch(repo: Repository) -> None:
    repo.folder.recipe({"card.uses": "something else"})
    assert repo.one().least == Least("PATCH", "no row changes: only card")


def test_a_frozen_version_whose_rows_change_is_an_error(repo: Repository) -> None:
    repo.folder.recipe({"version": "1.0.0"})
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.folder.recipe({"version": "1.0.0", "select.min_score": 2.5})
    one = repo.one()
    assert [(n.severity, n.message) for n in one.notes] == [
        ("error", "version 1.0.0 is frozen, and its rows may change")
    ]
    arguments = ("plan", "recipes", "--against", "main", "--format", "markdown")
    assert (
        "- **error** `recipes/tiny.yaml`: `version 1.0.0 is frozen, and its rows may change`"
        in xirecipe(*arguments).out
    )
    assert (xirecipe(*arguments).code, xirecipe(*arguments, "--exit-code").code) == (0, 1)
    repo.folder.recipe({"version": "2.0.0-dev", "select.min_score": 2.5})
    assert repo.one().notes == ()
    assert xirecipe(*arguments, "--exit-code").code == 2


MAJOR, MINOR, PATCH = Least("MAJOR", ""), Least("MINOR", "", True), Least("PATCH", "")


@pytest.mark.parametrize(
    ("old", "new", "least", "severities"),
    [
        ("1.0.0-dev", "1.0.0-dev", MAJOR, []),
        ("1.0.0-dev", "1.0.0", MAJOR, []),
        ("1.0.0", "1.0.1", PATCH, []),
        ("1.0.0", "1.0.1", MINOR, ["error"]),
        ("1.0.0", "1.1.0", MAJOR, ["error"]),
        ("1.0.0", "1.0.1-dev", MAJOR, ["warning"]),
        ("1.0.0", "2.0.0", MAJOR, []),
        ("1.0.0", "1.0.0", PATCH, ["warning"]),
        ("1.1.0", "1.0.0", PATCH, ["error"]),
        ("1.0.0", "1.0.0-dev", MAJOR, ["error"]),
        (None, "1.0.0", MAJOR, []),
    ],
)
def test_the_version_has_to_say_what_the_change_is(old: str, new: str, least: Least, severities: list[str]) -> None:
    assert [note.severity for note in version_notes(old, new, least)] == severities


def test_rows_before_and_after_are_shown_where_both_were_run(repo: Repository) -> None:
    finish(repo, "old")
    repo.folder.write("prompts/write.j2", "{{ text }} other")
    assert repo.one().preview.why_not == "only the old plan was run with this store, as far as its stages differ"
    finish(repo, "new")
    found = repo.one().preview
    assert found.stage == "split"
    assert [e.document_id for e in found.examples] == ["0", "1", "2"]
    assert (found.examples[0].before, found.examples[0].after) == ({"instruction": "old 0"}, {"instruction": "new 0"})
    out = xirecipe("plan", "recipes", "--against", "main", "--format", "markdown").out
    assert "```diff\n- instruction: old 0\n+ instruction: new 0\n```" in out


def test_table_and_json_say_the_same_change(repo: Repository) -> None:
    repo.folder.recipe({"select.min_score": 2.5})
    ran = xirecipe("plan", "recipes/tiny.yaml", "--against", "main")
    assert (ran.code, ran.err) == (0, "")
    assert "  select.min_score: 2 → 2.5 (recipes/tiny.yaml:" in ran.out
    assert ran.out.endswith("1 touched, 0 not\n")
    record = json.loads(xirecipe("plan", "recipes", "--against", "main", "--json").out)
    (recipe,) = record["recipes"]
    assert recipe["least"]["bump"] == "MAJOR"
    assert recipe["keys"][0]["key"] == "select.min_score"
    assert recipe["profiles"][0]["bill"]["calls"] == {"known": 0, "unknown": 0}


def test_several_recipes_that_share_a_prompt_show_its_diff_once(repo: Repository) -> None:
    repo.folder.recipe({"name": "other"}, name="other.yaml")
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.folder.write("prompts/write.j2", "{{ text }} other words")
    out = xirecipe("plan", "recipes", "--against", "main", "--format", "markdown").out
    assert out.count("+{{ text }} other words") == 1
    assert out.count("Prompt `prompts/write.j2`: as above") == 1


def test_a_prompt_that_only_judges_answers_changes_no_row_and_is_shown(repo: Repository) -> None:
    repo.folder.recipe({"evaluate": {"model": "writer", "pairwise": {"prompt": "prompts/compare.j2"}}})
    repo.folder.write("prompts/compare.j2", "{{ first }} {{ second }}")
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.folder.write("prompts/compare.j2", "{{ first }} or {{ second }}")
    one = repo.one()
    assert one.least == Least(None, "no row and no card changes")
    assert [change.path for change in one.prompts] == ["prompts/compare.j2"]


def test_only_files_that_git_knows_or_would_take_are_compared(repo: Repository) -> None:
    (repo.root / ".gitignore").write_text("draft.yaml\n")
    repo.folder.recipe(name="draft.yaml")
    assert repo.review().recipes == ()


def test_this_repositorys_recipes_can_be_reviewed(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a clone")
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("XIRECIPE_STORE", str(tmp_path / "store"))
    ran = xirecipe("plan", "recipes/swahili.yaml", "--against", "HEAD", "--format", "markdown")
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize(
    ("revision", "code"),
    [
        ("mian", "unknown-revision"),
        ("--output=x", "bad-revision"),
        ("main:recipes", "bad-revision"),
        ("main..change", "bad-revision"),
        ("", "bad-revision"),
        ("@{-1}", "bad-revision"),
    ],
)
def test_a_revision_that_is_none_is_refused(repo: Repository, revision: str, code: str) -> None:
    ran = xirecipe("plan", "recipes", "--against", revision)
    assert ran.code == 1
    assert f"error[{code}]" in ran.err
    assert code != "unknown-revision" or "did you mean `main`?" in ran.err


def test_outside_a_repository_the_mistake_is_named(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    ran = xirecipe("plan", "recipes", "--against", "main")
    assert ran.code == 1
    assert "error[not-a-repository]: recipes is in no git repository" in ran.err
    assert "error[missing-file]" in xirecipe("plan", "nowhere/x.yaml", "--against", "main").err


def test_formats_and_options_that_do_not_go_together_are_refused(repo: Repository) -> None:
    assert "error[usage]" in xirecipe("plan", "recipes", "--against", "main", "--limit", "1").err
    assert "goes with `--against`" in xirecipe("plan", "recipes/tiny.yaml", "--format", "markdown").err
    assert "error[bad-format]" in xirecipe("plan", "recipes", "--against", "main", "--format", "html").err
    assert "error[unknown-recipe]" in xirecipe("plan", "recipes/none.yaml", "--against", "main").err
