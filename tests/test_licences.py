from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.builders import REPOSITORY, recipe_folder
from xirecipe.compile import check
from xirecipe.diagnostics import Diagnostic
from xirecipe.hub.metadata import HUB_LICENSES
from xirecipe.licences import TERMS, inputs, obligations


def problems(folder: Path, **licences: str) -> list[Diagnostic]:
    """What is said about licences, of a recipe with these at `source`, `seed`, `model`, `result` and `reason`."""
    keys = {
        "source": "corpus.sources.web.license", "seed": "seed.license", "model": "models.writer.license",
        "result": "release.license", "reason": "release.license_reason",
    }  # fmt: skip
    changes: dict[str, Any] = {keys[name]: value for name, value in licences.items()}
    path = recipe_folder(folder).recipe(changes)
    return [d for d in check(path).diagnostics if "licence" in d.code]


def test_the_table_uses_the_hubs_identifiers() -> None:
    assert set(TERMS) <= HUB_LICENSES


def test_a_licence_that_others_are_compatible_with_is_in_the_table() -> None:
    assert {name for terms in TERMS.values() for name in terms.compatible} <= set(TERMS)


@pytest.mark.parametrize("name", [name for name in TERMS if name.startswith("cc-by-")])
def test_creative_commons_terms_are_those_in_the_name(name: str) -> None:
    parts, terms = set(name.split("-")), TERMS[name]
    assert (terms.non_commercial, terms.share_alike, terms.no_derivatives) == tuple(
        part in parts for part in ("nc", "sa", "nd")
    )


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("cc-by-nc-4.0", "cc-by-4.0"), ("cc-by-nc-4.0", "cc0-1.0"), ("cc-by-sa-4.0", "cc-by-4.0"),
        ("cc-by-sa-4.0", "cc-by-sa-3.0"), ("cc-by-nc-sa-4.0", "cc-by-nc-4.0"), ("odbl", "odc-by"),
        ("odbl", "cc-by-sa-4.0"), ("cc-by-nd-4.0", "cc-by-nd-4.0"), ("cc-by-nd-4.0", "other: mine"), ("gpl-3.0", "mit"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["source", "seed"])
def test_a_result_freer_than_its_texts_is_an_error_that_points_at_the_result(
    tmp_path: Path, place: str, source: str, result: str
) -> None:
    reason = {"reason": "because"}
    (problem,) = problems(tmp_path, **{place: source, "result": result}, **reason)
    assert (problem.code, problem.severity) == ("licence-conflict", "error")
    assert f"is `{source}`" in problem.message
    assert problem.span is not None
    lines = (tmp_path / "tiny.yaml").read_text(encoding="utf-8").splitlines()
    assert result in lines[problem.span.line - 1]
    (note,) = problem.notes
    assert source in lines[int(note.split(":")[1]) - 1]


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("cc0-1.0", "cc0-1.0"), ("cc0-1.0", "cc-by-nc-4.0"), ("cc-by-4.0", "odc-by"), ("cc-by-nc-4.0", "cc-by-nc-4.0"),
        ("cc-by-nc-4.0", "cc-by-nc-sa-4.0"), ("cc-by-sa-4.0", "cc-by-sa-4.0"), ("cc-by-sa-3.0", "cc-by-sa-4.0"),
        ("cc-by-sa-4.0", "gpl-3.0"), ("cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"), ("odc-by", "odc-by"),
    ],
)  # fmt: skip
def test_a_result_that_gives_what_its_texts_ask_for_is_fine(tmp_path: Path, source: str, result: str) -> None:
    assert problems(tmp_path, source=source, result=result) == []


def test_credit_that_the_result_does_not_ask_for_is_a_warning(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, source="cc-by-4.0", result="cc0-1.0")
    assert (problem.severity, problem.code) == ("warning", "licence-reason")


def test_a_non_commercial_model_binds_what_it_writes(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, model="cc-by-nc-4.0")
    assert (problem.code, problem.severity) == ("licence-conflict", "error")
    assert "`models.writer.license` is `cc-by-nc-4.0`: no commercial use" in problem.message


@pytest.mark.parametrize("license_", ["gpl-3.0", "cc-by-sa-4.0", "apache-2.0"])
def test_the_share_alike_of_a_models_weights_does_not_bind_what_it_writes(tmp_path: Path, license_: str) -> None:
    assert problems(tmp_path, model=license_) == []


def test_terms_of_use_that_go_with_a_models_output_ask_for_a_reason(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, model="gemma")
    assert (problem.severity, problem.code) == ("warning", "licence-reason")
    assert "https://ai.google.dev/gemma/terms" in problem.message
    assert problems(tmp_path, model="gemma", reason="Short outputs.") == []


def test_a_licence_nobody_knows_is_a_warning_and_one_in_words_asks_for_a_reason(tmp_path: Path) -> None:
    (unknown,) = problems(tmp_path, source="my-license-2")
    assert (unknown.severity, unknown.code) == ("warning", "unknown-licence")
    (words,) = problems(tmp_path, source="other: by letter of the archive")
    assert (words.severity, words.code) == ("warning", "licence-reason")
    assert problems(tmp_path, source="other: by letter of the archive", reason="The letter allows it.") == []


def test_every_licence_in_a_recipe_is_looked_at(tmp_path: Path) -> None:
    loaded = check(recipe_folder(tmp_path).root / "tiny.yaml")
    assert loaded.recipe is not None
    keys = {one.key for one in inputs(loaded.recipe)}
    assert keys == {"corpus.sources.web.license", "models.writer.license", "seed.license"}


def test_what_users_owe_is_said_in_words() -> None:
    assert obligations("cc0-1.0") == "asks for nothing"
    assert obligations("cc-by-nc-sa-4.0") == (
        "asks for no commercial use, the same licence for what is made from it, credit to its authors"
    )
    assert obligations("other: letter") == "terms in words: read them"
    assert "not known" in obligations("my-license-2")


def test_no_recipe_of_this_repository_has_a_licence_problem() -> None:
    for path in sorted((REPOSITORY / "recipes").glob("*.yaml")):
        for profile in (None, "full", "server", "laptop"):
            found = [d for d in check(path, profile).diagnostics if "licence" in d.code]
            assert found == [], path
