"""Recipes with one mistake each, and the whole report on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import RECIPE, Folder, Ran, changed, recipe_folder, xirecipe
from xirecipe.compile import check
from xirecipe.load import load


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return recipe_folder(tmp_path)


def report(expected_code: int = 1, *arguments: str) -> str:
    """What `check tiny.yaml` says on stderr."""
    ran = xirecipe("check", "tiny.yaml", *arguments)
    assert ran.code == expected_code
    assert ran.out == ""
    return ran.err


def test_a_recipe_without_a_mistake_says_so(folder: Folder) -> None:
    assert xirecipe("check", "tiny.yaml") == Ran(0, "1 file checked, no errors\n", "")


def test_an_unknown_key_is_met_with_the_nearest_known_one(folder: Folder) -> None:
    folder.recipe({"select": {"min_scor": 2}})
    assert (
        report()
        == """\
tiny.yaml:35:3: error[unknown-key]: `min_scor` is not a key of `select`
   |
35 |   min_scor: 2
   |   ^^^^^^^^ did you mean `min_score`?

1 error
"""
    )


def test_an_unknown_key_of_a_kind_of_model_is_met_with_the_keys_of_that_kind(folder: Folder) -> None:
    folder.recipe({"models.writer.quantisation": "q4"})
    assert (
        report()
        == """\
tiny.yaml:20:5: error[unknown-key]: `quantisation` is not a key of `models.writer`
   |
20 |     quantisation: q4
   |     ^^^^^^^^^^^^ did you mean `quantization`?

1 error
"""
    )


def test_a_value_of_the_wrong_type_is_named_in_plain_words(folder: Folder) -> None:
    folder.recipe({"select.rows": "many", "dedup": [1], "card.papers": "none", "dedup_": True})
    assert (
        report()
        == """\
tiny.yaml:36:9: error[wrong-type]: `select.rows` must be a whole number, not text (`many`)
   |
36 |   rows: many
   |         ^^^^

tiny.yaml:43:11: error[wrong-type]: `card.papers` must be a list, not text (`none`)
   |
43 |   papers: none
   |           ^^^^

tiny.yaml:50:1: error[wrong-type]: `dedup` must be a mapping, not a list
   |
50 | - 1
   | ^

tiny.yaml:51:1: error[unknown-key]: `dedup_` is not a key of a recipe
   |
51 | dedup_: true
   | ^^^^^^ did you mean `dedup`?

4 errors
"""
    )


def test_a_number_where_text_is_wanted_is_shown_in_quotes(folder: Folder) -> None:
    folder.recipe({"models.writer.revision": 0.3})
    assert (
        report()
        == """\
tiny.yaml:18:15: error[wrong-type]: `models.writer.revision` must be text, not `0.3`
   |
18 |     revision: 0.3
   |               ^^^ in quotes it is text: `"0.3"`

1 error
"""
    )


def test_a_date_where_text_is_wanted_is_that_text(folder: Folder) -> None:
    folder.write("tiny.yaml", folder.read("tiny.yaml").replace("revision: '1'", "revision: 2026-01-02"))
    loaded = check(Path("tiny.yaml"))
    assert loaded.diagnostics == []
    assert loaded.recipe is not None
    assert loaded.recipe.models["writer"].revision == "2026-01-02"


def test_a_date_as_a_version_is_refused_as_it_is_written(folder: Folder) -> None:
    folder.write("tiny.yaml", folder.read("tiny.yaml").replace("1.0.0-dev", "2026-01-02"))
    assert (
        report()
        == """\
tiny.yaml:2:10: error[bad-value]: `2026-01-02` is not a valid `version`
  |
2 | version: 2026-01-02
  |          ^^^^^^^^^^ must match ^\\d+\\.\\d+\\.\\d+(-dev)?$

1 error
"""
    )


def test_a_number_out_of_its_range_is_shown_with_the_limit(folder: Folder) -> None:
    folder.recipe({"split": {"test_ratio": 2}, "generate.draws": 0})
    assert (
        report()
        == """\
tiny.yaml:27:10: error[out-of-range]: `generate.draws` must be at least 1, not 0
   |
27 |   draws: 0
   |          ^

tiny.yaml:49:15: error[out-of-range]: `split.test_ratio` must be at most 1, not 2
   |
49 |   test_ratio: 2
   |               ^

2 errors
"""
    )


def test_null_where_a_section_is_wanted_is_said_at_its_key(folder: Folder) -> None:
    folder.write("tiny.yaml", folder.read("tiny.yaml") + "dedup:\n")
    assert (
        report()
        == """\
tiny.yaml:47:1: error[wrong-type]: `dedup` must be a mapping, not null
   |
47 | dedup:
   | ^^^^^

1 error
"""
    )


def test_a_key_that_is_required_is_asked_for_at_its_section(folder: Folder) -> None:
    folder.recipe({"card.uses": ..., "release": ...})
    assert (
        report()
        == """\
tiny.yaml:1:1: error[missing-key]: `release` is required
  |
1 | name: tiny-swh
  | ^ add `release: ...`

tiny.yaml:36:1: error[missing-key]: `uses` is required in `card`
   |
36 | card:
   | ^^^^ add `uses: ...`

2 errors
"""
    )


def test_an_unknown_kind_of_model_is_met_with_the_nearest_and_hides_nothing_else(folder: Folder) -> None:
    folder.recipe({"models.writer.engine": "sever", "generate.prompt": "prompts/wirte.j2"})
    assert (
        report()
        == """\
tiny.yaml:16:13: error[bad-value]: `sever` is not a value of `models.writer.engine`
   |
16 |     engine: sever
   |             ^^^^^ did you mean `server`?

tiny.yaml:22:11: error[missing-prompt]: there is no prompt prompts/wirte.j2
   |
22 |   prompt: prompts/wirte.j2
   |           ^^^^^^^^^^^^^^^^ did you mean `prompts/write.j2`?

2 errors
"""
    )


def test_a_model_without_a_kind_is_asked_for_it(folder: Folder) -> None:
    folder.recipe({"models.writer.engine": ...})
    assert (
        report()
        == """\
tiny.yaml:15:3: error[missing-key]: `engine` is required in `models.writer`
   |
15 |   writer:
   |   ^^^^^^ add `engine: ...`

1 error
"""
    )


def test_a_value_outside_a_short_list_is_met_with_the_list(folder: Folder) -> None:
    folder.recipe({"select.score": 3, "embed": {"column": "instructon"}})
    assert (
        report()
        == """\
tiny.yaml:36:10: error[bad-value]: `3` is not a value of `select.score`
   |
36 |   score: 3
   |          ^ known: `likelihood`, `rubric`, `similarity`

tiny.yaml:49:11: error[bad-value]: `instructon` is not a value of `embed.column`
   |
49 |   column: instructon
   |           ^^^^^^^^^^ did you mean `instruction`?

2 errors
"""
    )


def test_min_above_max_notes_where_the_other_one_is_written(folder: Folder) -> None:
    folder.write("bases/long.yaml", {"corpus": {"filters": {"length": {"min_chars": 900}}}})
    folder.recipe({"extends": "bases/long.yaml", "corpus.filters.length": {"max_chars": 500}})
    assert (
        report()
        == """\
tiny.yaml:12:7: error[bad-value]: `corpus.filters.length`: min_chars (900) is greater than max_chars (500)
   |
12 |       max_chars: 500
   |       ^^^^^^^^^
  = note: `min_chars` is written at bases/long.yaml:4

1 error
"""
    )


def test_min_above_max_both_in_a_base_says_who_inherits_it(folder: Folder) -> None:
    folder.write("bases/odd.yaml", {"corpus": {"filters": {"length": {"min_chars": 900, "max_chars": 500}}}})
    folder.recipe({"extends": "bases/odd.yaml", "corpus.filters": ...})
    assert (
        report()
        == """\
bases/odd.yaml:5:7: error[bad-value]: `corpus.filters.length`: min_chars (900) is greater than max_chars (500)
  |
5 |       max_chars: 500
  |       ^^^^^^^^^
  = note: `min_chars` is written at bases/odd.yaml:4
  = note: inherited by tiny.yaml

1 error
"""
    )


def test_a_mistake_in_a_base_is_said_once_for_all_who_inherit_it(folder: Folder) -> None:
    folder.write("bases/odd.yaml", {"select": {"rows": -1}})
    folder.recipe({"extends": "bases/odd.yaml"}, "one.yaml")
    folder.recipe({"extends": "bases/odd.yaml"}, "two.yaml")
    ran = xirecipe("check", "one.yaml", "two.yaml")
    assert (
        ran.err
        == """\
bases/odd.yaml:2:9: error[out-of-range]: `select.rows` must be at least 1, not -1
  |
2 |   rows: -1
  |         ^^
  = note: inherited by one.yaml
  = note: inherited by two.yaml

1 error
"""
    )


def test_an_unknown_language_is_met_with_the_nearest_and_the_rest_is_checked(folder: Folder) -> None:
    folder.recipe({"language": "swa_Latn", "select.rows": 0})
    assert (
        report()
        == """\
tiny.yaml:3:11: error[unknown-language]: there is no language file for `swa_Latn`
  |
3 | language: swa_Latn
  |           ^^^^^^^^ did you mean `swh_Latn`?

tiny.yaml:36:9: error[out-of-range]: `select.rows` must be at least 1, not 0
   |
36 |   rows: 0
   |         ^

2 errors
"""
    )


def test_a_language_code_of_another_form_is_refused(folder: Folder) -> None:
    folder.recipe({"language": "../sw"})
    assert (
        report()
        == """\
tiny.yaml:3:11: error[bad-value]: `../sw` is not a valid `language`
  |
3 | language: ../sw
  |           ^^^^^ must match ^[a-z]{3}_[A-Z][a-z]{3}$

1 error
"""
    )


def test_a_language_file_with_another_code_than_its_name_is_refused(folder: Folder) -> None:
    folder.write("languages/yor_Latn.yaml", folder.read("languages/swh_Latn.yaml"))
    assert xirecipe("check", "languages/yor_Latn.yaml") == Ran(
        1,
        "",
        """\
languages/yor_Latn.yaml:1:7: error[bad-value]: `code` is swh_Latn but the file is yor_Latn.yaml
  |
1 | code: swh_Latn
  |       ^^^^^^^^

1 error
""",
    )


def test_a_mistake_in_a_language_file_says_who_inherits_it(folder: Folder) -> None:
    folder.write("languages/swh_Latn.yaml", folder.read("languages/swh_Latn.yaml") + "lid_label: [sw]\n")
    assert (
        report()
        == """\
languages/swh_Latn.yaml:12:1: error[unknown-key]: `lid_label` is not a key of a language
   |
12 | lid_label: [sw]
   | ^^^^^^^^^ did you mean `lid_labels`?
  = note: inherited by tiny.yaml

1 error
"""
    )


def test_a_missing_base_is_met_with_the_nearest_and_unknown_keys_are_still_found(folder: Folder) -> None:
    folder.write("bases/long.yaml", {})
    folder.recipe({"extends": "bases/lnog.yaml", "select.rws": 1, "card": ...})
    assert (
        report()
        == """\
tiny.yaml:36:3: error[unknown-key]: `rws` is not a key of `select`
   |
36 |   rws: 1
   |   ^^^ did you mean `rows`?

tiny.yaml:42:10: error[missing-base]: bases/lnog.yaml does not exist
   |
42 | extends: bases/lnog.yaml
   |          ^^^^^^^^^^^^^^^ did you mean `bases/long.yaml`?

2 errors
"""
    )


def test_bases_that_loop_show_the_way_round(folder: Folder) -> None:
    folder.write("bases/a.yaml", {"extends": "bases/b.yaml"})
    folder.write("bases/b.yaml", {"extends": "bases/a.yaml"})
    folder.recipe({"extends": "bases/a.yaml"})
    assert (
        report()
        == """\
bases/b.yaml:1:10: error[looping-extends]: `extends` comes back to itself: bases/a.yaml -> bases/b.yaml -> bases/a.yaml
  |
1 | extends: bases/a.yaml
  |          ^^^^^^^^^^^^

1 error
"""
    )


def test_a_recipe_that_extends_itself_loops(folder: Folder) -> None:
    folder.recipe({"extends": "tiny.yaml"})
    assert (
        report()
        == """\
tiny.yaml:47:10: error[looping-extends]: `extends` comes back to itself: tiny.yaml -> tiny.yaml
   |
47 | extends: tiny.yaml
   |          ^^^^^^^^^

1 error
"""
    )


def test_too_many_bases_of_bases_are_refused(folder: Folder) -> None:
    for n in range(9):
        folder.write(f"b{n}.yaml", {"extends": f"b{n + 1}.yaml"})
    folder.recipe({"extends": "b0.yaml"})
    assert "error[looping-extends]: more than 8 bases" in report()


def test_a_base_outside_the_recipe_folder_is_refused(folder: Folder) -> None:
    folder.recipe({"extends": "../other.yaml"})
    assert (
        report()
        == """\
tiny.yaml:47:10: error[escaping-path]: `extends: ../other.yaml` leaves the recipe folder
   |
47 | extends: ../other.yaml
   |          ^^^^^^^^^^^^^ put the file below ./

1 error
"""
    )


def test_an_absolute_base_is_refused(folder: Folder) -> None:
    folder.recipe({"extends": "/etc/passwd"})
    assert (
        report()
        == """\
tiny.yaml:47:10: error[escaping-path]: `extends: /etc/passwd` leaves the recipe folder
   |
47 | extends: /etc/passwd
   |          ^^^^^^^^^^^ put the file below ./

1 error
"""
    )


def test_a_base_that_is_a_link_out_of_the_folder_is_refused_unread(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("outside") / "secret.yaml"
    secret.write_text("token: hunter2: [")
    (folder.root / "base.yaml").symlink_to(secret)
    folder.recipe({"extends": "base.yaml"})
    said = report()
    assert (
        said
        == """\
tiny.yaml:47:10: error[escaping-path]: `extends: base.yaml` leaves the recipe folder
   |
47 | extends: base.yaml
   |          ^^^^^^^^^ put the file below ./

1 error
"""
    )
    assert "hunter2" not in said


def test_a_language_file_that_is_a_link_out_of_the_folder_is_refused_unread(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("outside") / "secret.yaml"
    secret.write_text("token: hunter2: [")
    (folder.root / "languages/swh_Latn.yaml").unlink()
    (folder.root / "languages/swh_Latn.yaml").symlink_to(secret)
    said = report()
    assert "error[escaping-path]: `language: languages/swh_Latn.yaml` leaves the recipe folder" in said
    assert "hunter2" not in said


def test_a_base_that_is_a_link_to_itself_is_refused(folder: Folder) -> None:
    (folder.root / "base.yaml").symlink_to("base.yaml")
    folder.recipe({"extends": "base.yaml"})
    assert (
        report()
        == """\
tiny.yaml:47:10: error[bad-path]: `extends: base.yaml` cannot be a path
   |
47 | extends: base.yaml
   |          ^^^^^^^^^

1 error
"""
    )


def test_a_base_with_a_name_too_long_for_a_file_is_refused(folder: Folder) -> None:
    folder.recipe({"extends": "a" * 5000})
    assert "error[bad-path]: `extends: aaaaaaaaa" in report()


def test_a_list_of_bases_is_refused(folder: Folder) -> None:
    folder.recipe({"extends": ["a.yaml"]})
    assert (
        report()
        == """\
tiny.yaml:48:1: error[wrong-type]: `extends` must be the path of one recipe
   |
48 | - a.yaml
   | ^

1 error
"""
    )


def test_a_key_that_is_wrong_in_one_profile_says_in_which(folder: Folder) -> None:
    folder.recipe({"profiles": {"full": {"select": {"score": "likelihood"}}}})
    assert (
        report()
        == """\
tiny.yaml:50:14: error[missing-score]: `select.score` is likelihood, but `judge` has no `likelihood`
   |
50 |       score: likelihood
   |              ^^^^^^^^^^ add `judge.likelihood`
  = note: with `--profile full`

1 error
"""
    )


def test_an_unknown_profile_is_met_with_the_nearest(folder: Folder) -> None:
    folder.recipe({"profiles": {"sample": {}, "full": {}}})
    assert xirecipe("plan", "tiny.yaml", "--profile", "ful") == Ran(
        1,
        "",
        """\
tiny.yaml:47:1: error[unknown-profile]: tiny.yaml has no profile `ful`
   |
47 | profiles:
   | ^^^^^^^^ did you mean `full`?

1 error
""",
    )


def test_a_profile_of_a_recipe_without_profiles_is_unknown(folder: Folder) -> None:
    assert xirecipe("plan", "tiny.yaml", "--profile", "full") == Ran(
        1,
        "",
        """\
error[unknown-profile]: tiny.yaml has no profile `full`
  = hint: it has no profiles

1 error
""",
    )


def test_a_profile_that_is_no_mapping_is_refused(folder: Folder) -> None:
    folder.recipe({"profiles": {"sample": None}})
    assert (
        report()
        == """\
tiny.yaml:48:3: error[wrong-type]: `profiles.sample` must be a mapping of what it changes
   |
48 |   sample:
   |   ^^^^^^ `sample: {}` changes nothing

1 error
"""
    )


def test_profiles_that_are_no_mapping_are_refused(folder: Folder) -> None:
    folder.recipe({"profiles": ["sample"]})
    assert (
        report()
        == """\
tiny.yaml:48:1: error[wrong-type]: `profiles` must be a mapping of names to overlays
   |
48 | - sample
   | ^

1 error
"""
    )


def test_the_profile_sample_is_taken_where_none_is_named(folder: Folder) -> None:
    folder.recipe({"profiles": {"sample": {"select": {"rows": 7}}, "full": {}}})
    loaded = load(Path("tiny.yaml"))
    assert loaded.profile == "sample"
    assert loaded.recipe is not None
    assert loaded.recipe.select.rows == 7


def test_a_profile_that_names_another_engine_keeps_nothing_of_the_first(folder: Folder) -> None:
    gguf = {"engine": "embedded", "package": "p", "revision": "1", "sha256": "0" * 64, "license": "mit"}
    vllm = {"engine": "vllm", "model": "a/b", "revision": "0" * 40, "license": "mit", "max_model_tokens": 100}
    folder.recipe({"models.writer": vllm, "profiles": {"sample": {"models": {"writer": gguf}}}})
    loaded = load(Path("tiny.yaml"))
    assert loaded.diagnostics == []
    assert loaded.tree.data["models"]["writer"] == gguf


def test_a_profile_that_names_the_same_format_changes_only_what_it_says(folder: Folder) -> None:
    folder.recipe({"profiles": {"sample": {"corpus": {"sources": {"web": {"format": "jsonl", "path": "seed.jsonl"}}}}}})
    loaded = load(Path("tiny.yaml"))
    assert loaded.tree.data["corpus"]["sources"]["web"] == {
        "format": "jsonl",
        "path": "seed.jsonl",
        "license": "cc0-1.0",
    }


def test_null_takes_a_slot_away(folder: Folder) -> None:
    folder.recipe({"models.other": {"engine": "server", "model": "m", "revision": "1", "license": "mit"}})
    loaded = load(Path("tiny.yaml"), overrides=["models.other=null"])
    assert loaded.diagnostics == []
    assert list(loaded.tree.data["models"]) == ["writer"]


def test_null_switches_a_filter_of_the_language_off(folder: Folder) -> None:
    folder.recipe({"corpus.filters": {"language": None}})
    loaded = load(Path("tiny.yaml"))
    assert loaded.recipe is not None
    assert loaded.recipe.corpus.filters.language is None


def test_the_facts_of_the_language_lie_under_the_recipe(folder: Folder) -> None:
    folder.recipe({"corpus.filters": {}})
    loaded = load(Path("tiny.yaml"))
    assert loaded.recipe is not None
    assert loaded.recipe.corpus.filters.language is not None
    assert loaded.recipe.corpus.filters.language.min_score == 0.2
    assert loaded.span("corpus", "filters", "language", "min_score").file == "languages/swh_Latn.yaml"


@pytest.mark.parametrize(
    ("override", "value"),
    [("select.rows=5", 5), ("select.rows=null", None), ("select={rows: 6}", 6), ("select.rows= 7 ", 7)],
)
def test_set_lays_one_value_over_the_recipe(folder: Folder, override: str, value: int | None) -> None:
    loaded = load(Path("tiny.yaml"), overrides=[override])
    assert loaded.diagnostics == []
    assert loaded.recipe is not None
    assert loaded.recipe.select.rows == value


def test_every_bad_set_is_shown_at_once(folder: Folder) -> None:
    sets = ["select.rows", "=3", "select..rows=3", "select.rws=3", "select.rows=many", "select.rows=[", "x=!!int 3"]
    ran = xirecipe("plan", "tiny.yaml", *(part for text in sets for part in ("--set", text)))
    assert ran == Ran(
        1,
        "",
        """\
error[bad-override]: `--set =3` is not KEY=VALUE
  = hint: such as `--set select.min_score=2.5`

error[bad-override]: `--set select..rows=3` is not KEY=VALUE
  = hint: such as `--set select.min_score=2.5`

error[bad-override]: `--set select.rows` is not KEY=VALUE
  = hint: such as `--set select.min_score=2.5`

--set select.rows=[: error[not-yaml]: expected the node content, but found '<stream end>'

--set select.rows=many: error[wrong-type]: `select.rows` must be a whole number, not text (`many`)

--set select.rws=3: error[unknown-key]: `rws` is not a key of `select`
  = hint: did you mean `rows`?

--set x=!!int 3: error[tag]: `!!int` is a tag; recipes have none
  = hint: write the plain value

7 errors
""",
    )


def test_all_mistakes_are_shown_at_once_sorted_and_counted(folder: Folder) -> None:
    folder.write("prompts/write.j2", "{{ txt }}")
    folder.write("seed.jsonl", "nope\n")
    folder.recipe(
        {
            "name": "Tiny",
            "corpus.filters.length": {"min_chars": 10, "max_chars": 5},
            "corpus.sources.web.path": "nope.jsonl",
            "select": {"min_scor": 2, "score": "likelihood"},
            "judge.model": "jugde",
            "card.uses": ...,
            "models.other": {"engine": "vllm", "model": "a/b", "revision": "main", "license": "mit"},
        }
    )
    assert (
        report()
        == """\
seed.jsonl:1:1: error[broken-seed]: not a JSON object
  |
1 | nope
  | ^

tiny.yaml:1:7: error[bad-value]: `Tiny` is not a valid `name`
  |
1 | name: Tiny
  |       ^^^^ must match ^[a-z0-9][a-z0-9-]*$

tiny.yaml:8:13: error[missing-corpus]: nope.jsonl does not exist
  |
8 |       path: nope.jsonl
  |             ^^^^^^^^^^ paths start at the recipe's folder

tiny.yaml:13:7: error[bad-value]: `corpus.filters.length`: min_chars (10) is greater than max_chars (5)
   |
13 |       max_chars: 5
   |       ^^^^^^^^^
  = note: `min_chars` is written at tiny.yaml:12

tiny.yaml:23:15: warning[unpinned]: `main` is not a commit hash; what it names can change
   |
23 |     revision: main
   |               ^^^^ `xirecipe pin tiny.yaml` writes the commit that it is today

tiny.yaml:27:11: error[unknown-column]: prompts/write.j2 reads `txt`, which no stage before `generate` writes
   |
27 |   prompt: prompts/write.j2
   |           ^^^^^^^^^^^^^^^^ did you mean `text`?

tiny.yaml:33:10: error[unknown-model]: `judge.model` names `jugde`, which is not under `models`
   |
33 |   model: jugde
   |          ^^^^^ known: `other`, `writer`

tiny.yaml:40:3: error[unknown-key]: `min_scor` is not a key of `select`
   |
40 |   min_scor: 2
   |   ^^^^^^^^ did you mean `min_score`?

tiny.yaml:41:10: error[missing-score]: `select.score` is likelihood, but `judge` has no `likelihood`
   |
41 |   score: likelihood
   |          ^^^^^^^^^^ add `judge.likelihood`

tiny.yaml:42:1: error[missing-key]: `uses` is required in `card`
   |
42 | card:
   | ^^^^ add `uses: ...`

9 errors, 1 warning
"""
    )


def test_json_is_for_scripts(folder: Folder) -> None:
    folder.recipe({"select": {"min_scor": 2}})
    ran = xirecipe("check", "tiny.yaml", "--format", "json")
    assert (ran.code, ran.err) == (1, "")
    assert json.loads(ran.out) == [
        {
            "code": "unknown-key",
            "severity": "error",
            "message": "`min_scor` is not a key of `select`",
            "file": "tiny.yaml",
            "line": 35,
            "column": 3,
            "hint": "did you mean `min_score`?",
            "notes": [],
        }
    ]


def test_json_of_nothing_wrong_is_an_empty_list(folder: Folder) -> None:
    assert xirecipe("check", "tiny.yaml", "--format", "json") == Ran(0, "[]\n", "")


def test_github_gets_annotations(folder: Folder) -> None:
    folder.write("bases/long.yaml", {"corpus": {"filters": {"length": {"min_chars": 900}}}})
    folder.recipe(
        {"extends": "bases/long.yaml", "corpus.filters.length": {"max_chars": 500}, "select.rows": "50 %, or: all"}
    )
    assert xirecipe("check", "tiny.yaml", "--format", "github") == Ran(
        1,
        """\
::error file=tiny.yaml,line=12,col=7,title=bad-value::`corpus.filters.length`: min_chars (900) is greater than max_chars (500)%0A`min_chars` is written at bases/long.yaml:4
::error file=tiny.yaml,line=35,col=9,title=wrong-type::`select.rows` must be a whole number, not text (`50 %25, or: all`)
""",  # noqa: E501
        "",
    )


_CLEAN_WORDS = ("pydantic", "Traceback", "validation error", "type=", "input_value", "NoneType", "odict", "<class")


def assert_answers_plainly(ran: Ran) -> None:
    assert ran.code in (0, 1), ran.err
    said = ran.out + ran.err
    assert not [word for word in _CLEAN_WORDS if word in said], said


leaves = (
    st.none()
    | st.booleans()
    | st.integers(-3, 10**6)
    | st.floats(-2, 2)
    | st.sampled_from(
        [
            "",
            "x",
            "sample",
            "writer",
            "hub",
            "vllm",
            "embedded",
            "server",
            "jsonl",
            "../..",
            "/",
            "tiny.yaml",
            ".",
            "é中",
        ]
    )
)
values = st.recursive(
    leaves,
    lambda v: (
        st.lists(v, max_size=2)
        | st.dictionaries(st.sampled_from(["engine", "format", "words", "path", "x", "3"]), v, max_size=3)
    ),
    max_leaves=5,
)
PLACES = sorted(
    {
        "extends", "profiles", "profiles.sample", "rates", "rates.writer", "budget.calls", "dedup.minhash", "embed",
        "cluster", "corpus.filters.gopher_repetition.top_ngrams", "corpus.filters.language", "generate.exemplars.ids",
        "generate.guards",
        "generate.sampling.stop", "judge.likelihood", "card.papers", "release.repository", "nonsense",
        *RECIPE, *(f"{k}.{j}" for k, v in RECIPE.items() if isinstance(v, dict) for j in v),
        "corpus.sources.web", "corpus.sources.web.format", "corpus.sources.web.path", "generate.exemplars.seed",
        "corpus.filters.length.min_chars", "models.writer", "models.writer.engine", "models.writer.revision",
        "generate.exemplars.count", "judge.rubric.prompt", "judge.rubric.levels",
    }
)  # fmt: skip


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES), values | st.just(...)), min_size=1, max_size=4))
def test_no_mangled_recipe_is_a_bug_of_ours(folder: Folder, changes: list[tuple[str, object]]) -> None:
    data = RECIPE
    for place, value in changes:
        try:
            data = changed(data, {place: value})
        except (KeyError, TypeError, AttributeError):
            continue
    folder.write("tiny.yaml", data)
    assert_answers_plainly(xirecipe("check", "tiny.yaml"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_cut_or_garbled_text_is_a_bug_of_ours(folder: Folder, data: st.DataObject) -> None:
    folder.recipe()
    text = folder.read("tiny.yaml")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    junk = data.draw(st.text(alphabet=st.sampled_from(" \n\t:-[]{}&*!|>'\"%@`,?#ab1.~<=\\\u2028é\x00\x07"), max_size=8))
    folder.write("tiny.yaml", (text[:start] + junk + text[end:]).encode("utf-8"))
    assert_answers_plainly(xirecipe("check", "tiny.yaml"))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_bytes_are_a_bug_of_ours(folder: Folder, content: bytes) -> None:
    folder.write("tiny.yaml", content)
    assert_answers_plainly(xirecipe("check", "tiny.yaml", "--format", "json"))
