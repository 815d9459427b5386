"""Rules between a recipe and the files it names: prompts, seed, corpus, models, scores, pins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import SEED, TEXTS, Folder, Ran, recipe_folder, xirecipe


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return recipe_folder(tmp_path)


def report(expected_code: int = 1) -> str:
    ran = xirecipe("check", "tiny.yaml")
    assert (ran.code, ran.out) == (expected_code, "")
    return ran.err


def test_an_adapter_that_is_not_there_is_named_before_anything_runs(folder: Folder) -> None:
    adapter = {"path": "writer.gguf", "sha256": "a" * 64, "license": "mit"}
    model = {"engine": "embedded", "package": "p", "revision": "1", "sha256": "b" * 64, "license": "mit"}
    folder.recipe({"models.writer": model | {"adapter": adapter}})
    assert "error[missing-adapter]: there is no adapter writer.gguf" in report()
    folder.recipe({"models.writer": model | {"adapter": adapter | {"path": "../writer.gguf"}}})
    assert "error[escaping-path]: `adapter: ../writer.gguf` leaves the recipe folder" in report()


def test_a_missing_prompt_is_met_with_the_nearest(folder: Folder) -> None:
    folder.recipe({"generate.prompt": "prompts/wirte.j2"})
    assert (
        report()
        == """\
tiny.yaml:22:11: error[missing-prompt]: there is no prompt prompts/wirte.j2
   |
22 |   prompt: prompts/wirte.j2
   |           ^^^^^^^^^^^^^^^^ did you mean `prompts/write.j2`?

1 error
"""
    )


def test_a_prompt_outside_the_recipe_folder_is_refused(folder: Folder) -> None:
    folder.recipe({"generate.prompt": "prompts/../../x.j2", "judge.rubric.prompt": "/etc/hostname"})
    assert (
        report()
        == """\
tiny.yaml:22:11: error[escaping-path]: `prompt: prompts/../../x.j2` leaves the recipe folder
   |
22 |   prompt: prompts/../../x.j2
   |           ^^^^^^^^^^^^^^^^^^ put the file below ./

tiny.yaml:30:13: error[escaping-path]: `prompt: /etc/hostname` leaves the recipe folder
   |
30 |     prompt: /etc/hostname
   |             ^^^^^^^^^^^^^ put the file below ./

2 errors
"""
    )


def test_a_prompt_that_is_a_link_out_of_the_folder_is_refused(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "p.j2"
    outside.write_text("{{ text }}")
    (folder.root / "prompts/write.j2").unlink()
    (folder.root / "prompts/write.j2").symlink_to(outside)
    assert "error[escaping-path]: `prompt: prompts/write.j2` leaves the recipe folder" in report()


def test_a_prompt_that_names_a_column_of_a_later_stage_is_refused(folder: Folder) -> None:
    folder.write("prompts/write.j2", "{{ text }} {{ instruction }}")
    assert (
        report()
        == """\
tiny.yaml:22:11: error[unknown-column]: prompts/write.j2 reads `instruction`, which no stage before `generate` writes
   |
22 |   prompt: prompts/write.j2
   |           ^^^^^^^^^^^^^^^^ known: `cut_chars`, `document_id`, `exemplars`, `language`, `language_score`, `masked`, `source`, `text`, `url`

1 error
"""  # noqa: E501
    )


def test_a_judge_may_read_what_generate_writes_but_no_exemplars(folder: Folder) -> None:
    folder.write("prompts/rate.j2", "{{ instruction }} {{ draw }} {{ exemplars }}")
    assert (
        report()
        == """\
tiny.yaml:30:13: error[unknown-column]: prompts/rate.j2 reads `exemplars`, which no stage before `judge` writes
   |
30 |     prompt: prompts/rate.j2
   |             ^^^^^^^^^^^^^^^ did you mean `examples`?

1 error
"""
    )


def test_a_misspelled_column_is_met_with_the_nearest(folder: Folder) -> None:
    folder.write("prompts/write.j2", "{{ txt }}")
    assert (
        report()
        == """\
tiny.yaml:22:11: error[unknown-column]: prompts/write.j2 reads `txt`, which no stage before `generate` writes
   |
22 |   prompt: prompts/write.j2
   |           ^^^^^^^^^^^^^^^^ did you mean `text`?

1 error
"""
    )


def test_a_prompt_that_is_no_template_shows_its_line(folder: Folder) -> None:
    folder.write("prompts/write.j2", "{{ text }}\n{% for pair in %}\n")
    assert (
        report()
        == """\
tiny.yaml:22:11: error[bad-prompt]: prompts/write.j2:2: Expected an expression, got 'end of statement block'
   |
22 |   prompt: prompts/write.j2
   |           ^^^^^^^^^^^^^^^^

1 error
"""
    )


def test_a_filter_that_does_not_exist_is_found_before_a_run(folder: Folder) -> None:
    folder.write("prompts/write.j2", "\n\n{{ text | shout }}")
    assert (
        report()
        == """\
tiny.yaml:22:11: error[bad-prompt]: prompts/write.j2:3: No filter named 'shout'.
   |
22 |   prompt: prompts/write.j2
   |           ^^^^^^^^^^^^^^^^

1 error
"""
    )


def test_a_misspelled_part_of_a_pair_is_found_before_a_run(folder: Folder) -> None:
    folder.write("prompts/write.j2", "{% for pair in exemplars %}{{ pair.respnse }}{% endfor %}")
    assert (
        report()
        == """\
tiny.yaml:22:11: error[bad-prompt]: prompts/write.j2: an exemplar has no `respnse`; did you mean `response`?
   |
22 |   prompt: prompts/write.j2
   |           ^^^^^^^^^^^^^^^^

1 error
"""
    )


def test_a_misspelled_part_of_the_language_is_found_before_a_run(folder: Folder) -> None:
    folder.write("prompts/write.j2", "{{ language.nam }}")
    assert (
        report()
        == """\
tiny.yaml:22:11: error[bad-prompt]: prompts/write.j2: a language has no `nam`; did you mean `name`?
   |
22 |   prompt: prompts/write.j2
   |           ^^^^^^^^^^^^^^^^

1 error
"""
    )


def test_a_prompt_that_is_not_utf_8_is_refused(folder: Folder) -> None:
    folder.write("prompts/write.j2", b"{{ text }} \xff")
    assert (
        report()
        == """\
tiny.yaml:22:11: error[not-utf-8]: prompts/write.j2: byte 11 is not UTF-8
   |
22 |   prompt: prompts/write.j2
   |           ^^^^^^^^^^^^^^^^ save the file as UTF-8

1 error
"""
    )


def test_every_broken_line_of_the_seed_is_shown(folder: Folder) -> None:
    lines = [
        '{"id": "a", "instruction": "x", "response": "y"}', "nope", '{"instruction": " ", "response": "y"}', "[1]",
        '{"id": "a", "instruction": "x", "response": "y"}', '{"id": "s", "instruction": "\\ud800", "response": "y"}',
        "[" * 5000,
    ]  # fmt: skip
    folder.write("seed.jsonl", "\n".join(lines))
    said = report()
    assert (
        said.partition("seed.jsonl:7:1")[0]
        == """\
seed.jsonl:2:1: error[broken-seed]: not a JSON object
  |
2 | nope
  | ^

seed.jsonl:3:1: error[broken-seed]: a seed pair without `instruction`
  |
3 | {"instruction": " ", "response": "y"}
  | ^

seed.jsonl:4:1: error[broken-seed]: not a JSON object
  |
4 | [1]
  | ^

seed.jsonl:5:1: error[broken-seed]: `id` a is also at line 1
  |
5 | {"id": "a", "instruction": "x", "response": "y"}
  | ^

seed.jsonl:6:1: error[broken-seed]: `instruction` has half of a surrogate pair, which is not text
  |
6 | {"id": "s", "instruction": "\\ud800", "response": "y"}
  | ^

"""
    )
    assert "seed.jsonl:7:1: error[broken-seed]: not a JSON object" in said


def test_a_missing_seed_is_refused(folder: Folder) -> None:
    folder.recipe({"seed.path": "sed.jsonl"})
    assert (
        report()
        == """\
tiny.yaml:45:9: error[missing-seed]: there is no seed file sed.jsonl
   |
45 |   path: sed.jsonl
   |         ^^^^^^^^^

1 error
"""
    )


def test_a_seed_outside_the_recipe_folder_is_refused(folder: Folder) -> None:
    folder.recipe({"seed.path": "../seed.jsonl"})
    assert "error[escaping-path]: `seed: ../seed.jsonl` leaves the recipe folder" in report()


def test_a_seed_that_is_not_utf_8_shows_the_line(folder: Folder) -> None:
    folder.write("seed.jsonl", b'{"id": "a"}\n\xff')
    assert "seed.jsonl:2:1: error[not-utf-8]: byte 12 is not UTF-8" in report()


def test_each_unknown_id_is_shown_at_its_place(folder: Folder) -> None:
    folder.recipe({"generate.exemplars.ids": ["a", "seed-z"], "generate.exemplars.count": 2})
    assert (
        report()
        == """\
tiny.yaml:29:7: error[unknown-pair]: the seed has no pair `seed-z`
   |
29 |     - seed-z
   |       ^^^^^^ known: `a`, `b`, `c`

1 error
"""
    )


def test_a_seed_smaller_than_count_is_refused(folder: Folder) -> None:
    folder.recipe({"generate.exemplars.count": 9})
    assert (
        report()
        == """\
tiny.yaml:26:12: error[small-seed]: the seed has 3 pairs; `count` asks for 9
   |
26 |     count: 9
   |            ^

1 error
"""
    )


def test_ids_must_be_as_many_as_count(folder: Folder) -> None:
    folder.recipe({"generate.exemplars": {"choice": "fixed", "random_seed": 0, "count": 3, "ids": ["a", "b"]}})
    assert (
        report()
        == """\
tiny.yaml:27:5: error[bad-value]: `generate.exemplars`: ids names 2 pairs but count is 3
   |
27 |     ids:
   |     ^^^
  = note: `count` is written at tiny.yaml:26

1 error
"""
    )


def test_a_missing_corpus_is_refused(folder: Folder) -> None:
    folder.recipe({"corpus.sources.web.path": "nope.jsonl"})
    assert (
        report()
        == """\
tiny.yaml:8:13: error[missing-corpus]: nope.jsonl does not exist
  |
8 |       path: nope.jsonl
  |             ^^^^^^^^^^ paths start at the recipe's folder

1 error
"""
    )


def test_an_empty_corpus_is_refused(folder: Folder) -> None:
    folder.write("texts.jsonl", "")
    assert (
        report()
        == """\
tiny.yaml:8:13: error[empty-corpus]: texts.jsonl is empty
  |
8 |       path: texts.jsonl
  |             ^^^^^^^^^^^

1 error
"""
    )


def test_a_corpus_folder_without_a_file_of_its_format_is_refused(folder: Folder) -> None:
    folder.recipe({"corpus.sources.web.path": "prompts"})
    assert (
        report()
        == """\
tiny.yaml:8:13: error[empty-corpus]: prompts has no *.jsonl file
  |
8 |       path: prompts
  |             ^^^^^^^

1 error
"""
    )


def test_a_device_is_no_corpus(folder: Folder) -> None:
    folder.recipe({"corpus.sources.web.path": "/dev/zero"})
    assert (
        report()
        == """\
tiny.yaml:8:13: error[missing-corpus]: /dev/zero is neither a file nor a folder
  |
8 |       path: /dev/zero
  |             ^^^^^^^^^

1 error
"""
    )


def test_a_corpus_path_too_long_for_a_file_does_not_exist(folder: Folder) -> None:
    folder.recipe({"corpus.sources.web.path": "a" * 5000})
    assert "error[missing-corpus]: aaaa" in report()


def test_an_unknown_model_is_met_with_the_nearest(folder: Folder) -> None:
    folder.recipe({"generate.model": "wirter", "rates": {"writr": {"tokens_per_second": 3}}})
    assert (
        report()
        == """\
tiny.yaml:21:10: error[unknown-model]: `generate.model` names `wirter`, which is not under `models`
   |
21 |   model: wirter
   |          ^^^^^^ did you mean `writer`?

tiny.yaml:48:3: error[unknown-model]: `rates.writr` is for no model under `models`
   |
48 |   writr:
   |   ^^^^^ did you mean `writer`?

2 errors
"""
    )


def test_an_embedded_model_needs_a_package_or_a_repository(folder: Folder) -> None:
    model = {"engine": "embedded", "revision": "1", "sha256": "0" * 64, "license": "mit", "repository": "a/b"}
    folder.recipe({"models.writer": model})
    assert (
        report()
        == """\
tiny.yaml:15:3: error[bad-value]: `models.writer` needs either `package`, or `repository` and `file`
   |
15 |   writer:
   |   ^^^^^^

tiny.yaml:17:15: warning[unpinned]: `1` is not a commit hash; what it names can change
   |
17 |     revision: '1'
   |               ^^^ `xirecipe pin tiny.yaml` writes the commit that it is today

1 error, 1 warning
"""
    )


def test_a_score_that_the_judge_does_not_give_is_refused(folder: Folder) -> None:
    folder.recipe({"select.score": "likelihood"})
    assert (
        report()
        == """\
tiny.yaml:36:10: error[missing-score]: `select.score` is likelihood, but `judge` has no `likelihood`
   |
36 |   score: likelihood
   |          ^^^^^^^^^^ add `judge.likelihood`

1 error
"""
    )


def test_a_threshold_above_the_highest_level_is_refused(folder: Folder) -> None:
    folder.recipe({"select.min_score": 3.5})
    assert (
        report()
        == """\
tiny.yaml:35:14: error[out-of-range]: `select.min_score` is 3.5, above the highest level of the rubric (3)
   |
35 |   min_score: 3.5
   |              ^^^

1 error
"""
    )


def test_a_judge_with_nothing_to_do_is_refused(folder: Folder) -> None:
    folder.recipe({"judge": {"model": "writer"}})
    assert (
        report()
        == """\
tiny.yaml:27:1: error[bad-value]: `judge`: judge needs `rubric`, `likelihood` or `similarity`, or several of them
   |
27 | judge:
   | ^^^^^

1 error
"""
    )


def test_a_branch_name_is_warned_about_and_no_error(folder: Folder) -> None:
    source = {"format": "hub", "repository": "a/b", "revision": "main", "files": "*.parquet", "license": "cc0-1.0"}
    folder.recipe({"corpus.sources.hub": source})
    assert (
        report(expected_code=0)
        == """\
tiny.yaml:13:17: warning[unpinned]: `main` is not a commit hash; what it names can change
   |
13 |       revision: main
   |                 ^^^^ `xirecipe pin tiny.yaml` writes the commit that it is today

0 errors, 1 warning
"""
    )


def test_a_commit_hash_is_not_warned_about(folder: Folder) -> None:
    folder.recipe({"models.writer": {"engine": "vllm", "model": "a/b", "revision": "0" * 40, "license": "mit"}})
    assert xirecipe("check", "tiny.yaml") == Ran(0, "1 file checked, no errors\n", "")


def test_a_rule_in_a_base_says_who_inherits_it(folder: Folder) -> None:
    folder.write("bases/b.yaml", {"generate": {"prompt": "prompts/no.j2"}})
    folder.recipe({"extends": "bases/b.yaml", "generate.prompt": ...})
    assert (
        report()
        == """\
bases/b.yaml:2:11: error[missing-prompt]: there is no prompt prompts/no.j2
  |
2 |   prompt: prompts/no.j2
  |           ^^^^^^^^^^^^^ did you mean `prompts/rate.j2`?
  = note: inherited by tiny.yaml

1 error
"""
    )


def test_a_mistake_in_one_section_does_not_hide_the_rules_of_another(folder: Folder) -> None:
    folder.recipe({"card": ..., "judge.rubric": {"levels": {"3": 3}}, "corpus.sources.web.path": "nope.jsonl"})
    assert (
        report()
        == """\
tiny.yaml:1:1: error[missing-key]: `card` is required
  |
1 | name: tiny-swh
  | ^ add `card: ...`

tiny.yaml:8:13: error[missing-corpus]: nope.jsonl does not exist
  |
8 |       path: nope.jsonl
  |             ^^^^^^^^^^ paths start at the recipe's folder

tiny.yaml:29:3: error[missing-key]: `prompt` is required in `judge.rubric`
   |
29 |   rubric:
   |   ^^^^^^ add `prompt: ...`

tiny.yaml:31:7: error[bad-value]: `judge.rubric.levels` has only 1
   |
31 |       '3': 3
   |       ^ give at least 2

4 errors
"""
    )


def test_the_texts_used_here_are_a_corpus(folder: Folder) -> None:
    assert len(TEXTS) == len(SEED) == 3
    assert xirecipe("check", "tiny.yaml").code == 0


def pairs(folder: Folder, count: int) -> None:
    lines = ({"id": f"s{i}", "instruction": f"Say {i}.", "response": f"Jambo {i}."} for i in range(count))
    folder.json_lines("seed.jsonl", lines)


def test_a_rating_set_too_small_for_an_example_of_each_level_is_an_error(folder: Folder) -> None:
    # Of five pairs two are held out and three are learned from: one for each level.
    pairs(folder, 5)
    folder.recipe({"rating_set": {}, "judge.rubric.examples_per_level": 1})
    assert xirecipe("check", "tiny.yaml").code == 0
    folder.recipe({"rating_set": {}, "judge.rubric.examples_per_level": 2})
    assert "error[small-seed]: the rating set learns from 3 seed pairs; 6 are wanted" in report()


def test_a_broken_rating_set_is_not_called_missing(folder: Folder) -> None:
    pairs(folder, 5)
    folder.recipe({"rating_set": [], "judge.rubric.examples_per_level": 1})
    assert report().endswith("\n1 error\n")
    folder.recipe({"rating_set": None, "judge.rubric.examples_per_level": 1})
    assert "error[missing-rating-set]" in report()


@pytest.mark.parametrize("section", ["select", "refine"])
def test_a_threshold_that_no_similarity_reaches_is_an_error(folder: Folder, section: str) -> None:
    folder.recipe({"judge.similarity": {}, section: {"score": "similarity", "min_score": 2.5}})
    assert f"error[out-of-range]: `{section}.min_score` is 2.5, above what a cosine can be (1)" in report()


def test_a_window_smaller_than_the_shortest_text_allowed_is_an_error(folder: Folder) -> None:
    folder.recipe({"corpus.clean": {"max_chars": 4}})
    assert "`corpus.clean.max_chars` cuts texts to 4, below `filters.length.min_chars` (5)" in report()
    folder.recipe({"corpus.clean": {"max_chars": 5}})
    assert xirecipe("check", "tiny.yaml").code == 0


def test_two_labels_of_one_value_are_no_two_levels(folder: Folder) -> None:
    folder.recipe({"judge.rubric.levels": {"good": 2, "fine": 2, "bad": 1}})
    found = report()
    assert "error[bad-value]: `judge.rubric.levels` has the value 2 for `good` and for `fine`" in found
    assert found.endswith("\n1 error\n")


def test_a_wrong_item_of_a_list_is_not_also_called_a_missing_one(folder: Folder) -> None:
    pairs(folder, 5)
    folder.recipe({"rating_set": {"middle": ["cut"]}})
    found = report()
    assert "`cut` is not a value of `rating_set.middle[0]`" in found
    assert found.endswith("\n1 error\n")
    folder.recipe({"rating_set": {"middle": []}})
    assert "`rating_set.middle` is empty" in report()


def test_folders_outside_the_recipe_folder_are_not_listed(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    listed: list[Path] = []
    glob = Path.rglob

    def watched(self: Path, pattern: str) -> object:
        listed.append(self)
        return glob(self, pattern)

    folder.recipe({"corpus.sources.web.path": str(outside)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rglob", watched)
        assert xirecipe("check", "tiny.yaml") == Ran(0, "1 file checked, no errors\n", "")
    assert listed == []
    folder.recipe({"corpus.sources.web.path": str(outside / "gone")})
    assert "error[missing-corpus]" in report()
