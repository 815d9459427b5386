"""`xirecipe new`, `bump` and `fmt`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import LANGUAGE, RECIPE, REPOSITORY, SEED, Folder, Ran, changed, recipe_folder, xirecipe
from xirecipe.diagnostics import UserError
from xirecipe.editing.scalars import replaced, top_scalar
from xirecipe.yaml import parse

BASE = changed(RECIPE, {"name": ..., "version": ..., "language": ..., "card": ..., "seed": ..., "corpus": ...})
HUB = {"format": "hub", "repository": "HuggingFaceFW/fineweb-2", "revision": "0" * 40, "license": "odc-by"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    made = recipe_folder(tmp_path / "recipes")
    made.write("bases/x_instruction.yaml", {**BASE, "corpus": {"sources": {"web": HUB}}, "profiles": {"sample": {}}})
    return made


def filled(folder: Folder, name: str, values: dict[str, str]) -> None:
    """Write what an author would write behind keys that are empty."""
    lines = folder.read(name).split("\n")
    for number, line in enumerate(lines):
        key = line.partition("#")[0].strip()
        if key.rstrip(":") in values and key.endswith(":"):
            lines[number] = line.partition(":")[0] + f": {values[key.rstrip(':')]}"
    folder.write(name, "\n".join(lines))


def test_a_new_recipe_asks_for_what_only_its_author_knows(folder: Folder) -> None:
    ran = xirecipe("new", "--language", "yor_Latn")
    assert (ran.code, ran.err) == (0, "")
    assert "written recipes/yoruba.yaml\n" in ran.out
    recipe = parse(folder.read("yoruba.yaml"), "r").data
    assert recipe["name"] == "x-instruction-yor"
    assert recipe["corpus"]["sources"]["web"] == {"files": "data/yor_Latn/train/*.parquet"}
    language = parse(folder.read("languages/yor_Latn.yaml"), "l").data
    assert (language["name"], language["hub_code"], language["lid_labels"]) == ("Yoruba", "yo", ["yo"])
    err = xirecipe("check", "recipes/yoruba.yaml").err
    asked = {line.partition("`")[2].partition("`")[0] for line in err.split("\n") if "error[" in line}
    assert asked >= {"native_name", "filters.language.min_score", "sources", "card.uses", "card.biases", "seed.license"}


def test_what_an_author_fills_in_makes_it_check_clean(folder: Folder) -> None:
    xirecipe("new", "--language", "yor_Latn")
    filled(folder, "yoruba.yaml", dict.fromkeys(("uses", "not_for", "biases"), "words") | {"license": "cc0-1.0"})
    filled(
        folder,
        "languages/yor_Latn.yaml",
        {"native_name": "Yorùbá", "min_score": "0.3", "sources": '["own measurement"]'},
    )
    folder.json_lines("sample/yor_Latn.jsonl", [{"id": "1", "text": "Ẹ káàárọ̀ o."}])
    ran = xirecipe("check", "recipes/yoruba.yaml", "recipes/languages/yor_Latn.yaml")
    assert "a seed pair without `instruction`" in ran.err
    assert ran.err.count("error[") == 4
    folder.json_lines("sample/yor_Latn.seed.jsonl", SEED)
    ran = xirecipe("check", "recipes/yoruba.yaml", "recipes/languages/yor_Latn.yaml")
    assert ran == Ran(0, "2 files checked, no errors\n", "")
    assert xirecipe("fmt", "--check", "recipes/yoruba.yaml", "recipes/languages/yor_Latn.yaml").code == 0


def test_nothing_is_overwritten(folder: Folder) -> None:
    folder.write("languages/yor_Latn.yaml", {**LANGUAGE, "code": "yor_Latn"})
    before = folder.read("languages/yor_Latn.yaml")
    assert "kept    recipes/languages/yor_Latn.yaml" in xirecipe("new", "--language", "yor_Latn").out
    assert folder.read("languages/yor_Latn.yaml") == before
    mine = folder.write("yoruba.yaml", "mine: 1\n")
    assert "error[file-exists]" in xirecipe("new", "--language", "yor_Latn").err
    assert mine.read_text() == "mine: 1\n"
    assert xirecipe("new", "--language", "yor_Latn", "--name", "second").code == 0
    assert parse(folder.read("second.yaml"), "r").data["name"] == "second"


def test_a_script_from_right_to_left_says_so_and_an_unknown_label_asks(folder: Folder) -> None:
    xirecipe("new", "--language", "pbt_Arab")
    assert parse(folder.read("languages/pbt_Arab.yaml"), "l").data["direction"] == "rtl"
    xirecipe("new", "--language", "hau_Latn")
    text = folder.read("languages/hau_Latn.yaml")
    assert parse(text, "l").data["lid_labels"] is None
    assert "lid.176 has no Hausa" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--language", "yoruba"], "did you mean `yor_Latn` (Yoruba)?"),
        (["--language", "yor-latn"], "error[bad-language]"),
        (["--language", "yor_Latn", "--from", "bases/x_instructon.yaml"], "did you mean `bases/x_instruction.yaml`?"),
        (["--language", "yor_Latn", "--from", "../x.yaml"], "error[escaping-path]"),
        (["--language", "yor_Latn", "--name", "../x"], "error[bad-name]"),
        (["--language", "yor_Latn", "--dir", "nowhere"], "error[missing-base]"),
    ],
)
def test_what_cannot_be_made_is_refused_with_a_hint(folder: Folder, arguments: list[str], said: str) -> None:
    before = sorted(folder.root.rglob("*"))
    ran = xirecipe("new", *arguments)
    assert ran.code == 1
    assert said in ran.err
    assert sorted(folder.root.rglob("*")) == before


def test_a_bump_changes_the_version_and_no_other_byte(folder: Folder) -> None:
    text = '\ufeff# top\r\nname:   a # here\r\nversion:  "1.0.0-dev"   # drop -dev\r\n\r\nx: [1,  2]\r\n'
    path = folder.write("r.yaml", text)
    assert xirecipe("bump", "recipes/r.yaml", "--freeze") == Ran(0, "recipes/r.yaml: 1.0.0-dev → 1.0.0\n", "")
    assert path.read_bytes().decode() == text.replace("1.0.0-dev", "1.0.0")


@pytest.mark.parametrize(
    ("old", "arguments", "new"),
    [
        ("1.2.3-dev", ["--freeze"], "1.2.3"),
        ("1.2.3", ["--patch"], "1.2.4"),
        ("1.2.3", ["--minor"], "1.3.0"),
        ("1.2.3", ["--major", "--dev"], "2.0.0-dev"),
        ("1.2.3-dev", ["--major"], "2.0.0-dev"),
        ("1.2.3-dev", ["--minor", "--freeze"], "1.3.0"),
        ("1.2.3", ["--dev"], "1.2.4-dev"),
        ("1.2.3-dev", ["--to", "1.2.3"], "1.2.3"),
        ("1.2.3", ["--to", "4.0.0-dev"], "4.0.0-dev"),
    ],
)
def test_steps_of_a_version(folder: Folder, old: str, arguments: list[str], new: str) -> None:
    path = folder.write("r.yaml", f"version: {old}\n")
    assert xirecipe("bump", str(path), *arguments).code == 0
    assert path.read_text() == f"version: {new}\n"


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [
        ("version: 1.0.0\n", [], "usage"),
        ("version: 1.0.0\n", ["--major", "--minor"], "usage"),
        ("version: 1.0.0\n", ["--to", "2.0.0", "--dev"], "usage"),
        ("version: 1.0.0\n", ["--freeze"], "bad-version"),
        ("version: 1.0.0-dev\n", ["--dev"], "bad-version"),
        ("version: 1.0.0\n", ["--to", "1.0.0-dev"], "bad-version"),
        ("version: 1.0.0\n", ["--to", "1.0"], "bad-version"),
        ("version: one\n", ["--minor"], "bad-version"),
        ("a: &v 1.0.0\nversion: *v\n", ["--minor"], "wrong-type"),
        ("name: a\n", ["--minor"], "missing-key"),
        ("version: [", ["--minor"], "not-yaml"),
        ("version: 1.0.0\nversion: 1.0.0\n", ["--minor"], "duplicate-key"),
    ],
)
def test_a_bump_that_makes_no_sense_changes_nothing(folder: Folder, text: str, arguments: list[str], code: str) -> None:
    path = folder.write("r.yaml", text)
    ran = xirecipe("bump", str(path), *arguments)
    assert ran.code == 1
    assert f"error[{code}]" in ran.err
    assert path.read_text() == text


def test_a_recipe_that_is_not_there_cannot_be_bumped(folder: Folder) -> None:
    assert "error[missing-file]" in xirecipe("bump", "recipes/none.yaml", "--minor").err


def test_a_link_is_followed_and_stays_a_link(folder: Folder) -> None:
    path = folder.write("real.yaml", "version: 1.0.0\n")
    link = folder.root / "link.yaml"
    link.symlink_to(path)
    assert xirecipe("bump", str(link), "--minor").code == 0
    assert link.is_symlink()
    assert path.read_text() == "version: 1.1.0\n"


def test_fmt_writes_and_check_only_says(folder: Folder) -> None:
    path = folder.write("r.yaml", "version: 1.0.0\nname: a\n")
    ran = xirecipe("fmt", "--check", str(path))
    assert ran.code == 1
    assert "would change recipes/r.yaml" in ran.out
    assert "+name: a" in ran.out
    assert path.read_text().startswith("version")
    assert xirecipe("fmt", str(path)).code == 0
    assert path.read_text() == "name: a\nversion: 1.0.0\n"
    assert xirecipe("fmt", "--check", str(path)) == Ran(0, "0 files to format, 1 file left as they are\n", "")


def test_fmt_of_a_folder_takes_bases_and_languages_and_shows_what_it_cannot_read(folder: Folder) -> None:
    folder.write("bases/x_instruction.yaml", "version: 1.0.0\nname: a\n")
    broken = folder.write("broken.yaml", "a: [")
    ran = xirecipe("fmt", "recipes")
    assert ran.code == 1
    assert "formatted recipes/bases/x_instruction.yaml" in ran.out
    assert "recipes/broken.yaml:1:5: error[not-yaml]" in ran.err
    assert broken.read_text() == "a: ["
    assert "error[no-recipes]" in xirecipe("fmt", "recipes/prompts").err


def test_this_repositorys_recipes_and_languages_are_in_canonical_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    paths = [*Path("recipes").glob("*.yaml"), *Path("recipes/languages").glob("*.yaml")]
    assert xirecipe("fmt", "--check", *paths).code == 0


def test_scalars_are_found_however_they_are_written() -> None:
    for before in ("a", "'a'", '"a"', "&x a", ">-\n  a"):
        text = f"k: {{version: z}}\nversion: {before}\nb: 1\n"
        edited = replaced(text, top_scalar(text, "r", "version"), "other")
        assert edited == f"k: {{version: z}}\nversion: {before.replace('a', 'other')}\nb: 1\n"
    escaped = 'version: "\\x61"\n'
    with pytest.raises(UserError):
        replaced(escaped, top_scalar(escaped, "r", "version"), "c")
