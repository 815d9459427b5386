"""`xirecipe diff` of recipes, revisions and runs. Released versions are compared in tests/hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import xirecipe
from tests.reviewing.repositories import Repository, repository
from xirecipe import tables
from xirecipe.artifact import Manifest
from xirecipe.columns import columns_after
from xirecipe.compile import compile_recipe
from xirecipe.settings import from_environment
from xirecipe.store import Store


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XIRECIPE_STORE", str(tmp_path / "store"))
    return repository(tmp_path)


def finish(repo: Repository, score: float, recipe: str = "tiny.yaml", **row: Any) -> dict[str, Path]:
    """Leave the artifacts of a run behind, and return their folders by stage."""
    store = Store(from_environment().store)
    folders = {}
    for stage in compile_recipe(repo.folder.root / recipe).stages:
        artifact = store.artifact(stage.kind, stage.fingerprint)
        store.start(artifact)
        made = [
            {
                "document_id": f"d{n}",
                "text": f"andiko {n}",
                "instruction": f"i {n}",
                "score": score,
                "split": "train",
                **row,
            }
            for n in range(5)
        ]
        tables.write(artifact.data, made, columns_after(stage.kind))
        artifact.write_manifest(Manifest(stage.kind, stage.fingerprint, stage.payload, 7, 7, 5, {"x.y": 2}))
        folders[stage.kind] = artifact.folder
    return folders


def diff(*arguments: str | Path) -> str:
    ran = xirecipe("diff", *arguments)
    assert (ran.code, ran.err) == (0, "")
    return ran.out


def test_a_recipe_and_its_earlier_revision_differ_by_keys_with_their_places(repo: Repository) -> None:
    repo.folder.recipe({"select.min_score": 2.5, "dedup.minhash": None})
    repo.folder.write("prompts/write.j2", "{{ text }}\n")
    out = diff("recipes/tiny.yaml@main", "recipes/tiny.yaml")
    assert "  select.min_score: 2 → 2.5 (tiny.yaml:35)\n" in out
    assert "  dedup.minhash: default → null (tiny.yaml:" in out
    assert "prompts/write.j2\n  @@ -1,2 +1 @@\n" in out
    assert "  generate: prompts: other text\n" in out
    assert "rows were not compared: no finished run of recipes/tiny.yaml@main and of recipes/tiny.yaml" in out


def test_equal_sides_say_so_and_exit_with_0(repo: Repository) -> None:
    out = diff("recipes/tiny.yaml", "recipes/tiny.yaml", "--exit-code")
    assert "no difference" in out
    repo.folder.recipe({"select.min_score": 2.5})
    assert xirecipe("diff", "recipes/tiny.yaml@main", "recipes/tiny.yaml").code == 0
    assert xirecipe("diff", "recipes/tiny.yaml@main", "recipes/tiny.yaml", "--exit-code").code == 1


def test_two_runs_show_counts_distributions_and_rows(repo: Repository) -> None:
    finish(repo, 2.0)
    repo.folder.recipe({"select.min_score": 2.5})
    finish(repo, 3.0, instruction="\u202eevil [bold]x[/bold] \x1b[31m")
    out = diff("recipes/tiny.yaml@main", "recipes/tiny.yaml", "--examples", "1")
    assert "select: select.min_score: 2.0 → 2.5" in out
    assert "documents: 5 → 5 rows; 5 changed, 0 came, 0 went" in out
    assert "    - instruction: i 0\n" in out
    assert "    + instruction: \\u202eevil [bold]x[/bold] \\u001b[31m\n" in out
    lines = [line for line in out.split("\n") if "score" in line and "before" in line]
    assert len(lines) == 1
    assert lines[0].split() == ["score", "before", "2", "2", "2", "2"]
    assert all(len(line) <= 80 for line in out.split("\n") if line.startswith(" ") and "instruction:" not in line)


def test_json_says_the_same(repo: Repository) -> None:
    finish(repo, 2.0)
    repo.folder.recipe({"select.min_score": 2.5})
    finish(repo, 3.0)
    found = json.loads(diff("recipes/tiny.yaml@main", "recipes/tiny.yaml", "--json"))
    assert found["equal"] is False
    assert found["keys"][0] == {
        "key": "select.min_score", "a": 2, "b": 2.5, "a_place": "tiny.yaml:35", "b_place": "tiny.yaml:35",
    }  # fmt: skip
    assert [stage["label"] for stage in found["stages"]] == ["select", "messages", "split"]
    assert found["rows"]["counts"] == {"changed": 5, "came": 0, "went": 0}
    assert found["counts"][0]["b"] == {"kept": 5, "dropped": {"x.y": 2}, "failed": {}, "asked": 7}
    score = next(m for m in found["rows"]["moved"] if m["name"] == "score")
    assert (score["before"]["mean"], score["after"]["mean"], score["distance"]) == (2, 3, 1)


def test_two_artifacts_of_a_stage_are_compared_as_they_are(repo: Repository) -> None:
    old = finish(repo, 2.0)["select"]
    repo.folder.recipe({"select.min_score": 2.5})
    new = finish(repo, 2.5)["select"]
    out = diff(old, new)
    assert "select: select.min_score: 2.0 → 2.5" in out
    assert "5 changed, 0 came, 0 went" in out
    other = finish(repo, 2.5)["corpus"]
    assert "rows of select and of corpus are not the same kind" in diff(old, other)


def test_sources_that_git_ignores_are_taken_as_they_are(repo: Repository) -> None:
    (repo.root / ".gitignore").write_text("texts.jsonl\n")
    repo.git("rm", "-q", "--cached", "recipes/texts.jsonl")
    repo.commit()
    assert "no difference" in diff("recipes/tiny.yaml@HEAD", "recipes/tiny.yaml")


def test_two_recipes_under_a_profile(repo: Repository) -> None:
    repo.folder.recipe({"profiles": {"big": {"select": {"rows": 9}}}})
    repo.folder.recipe({"profiles": {"big": {"select": {"rows": 7}}}}, name="other.yaml")
    assert "no difference" in diff("recipes/tiny.yaml", "recipes/other.yaml")
    out = diff("recipes/tiny.yaml", "recipes/other.yaml", "--profile", "big")
    assert "  select.rows: 9 → 7 (tiny.yaml:" in out
    assert "→ other.yaml:" in out


@pytest.mark.parametrize(
    ("side", "code"),
    [
        ("nowhere", "unknown-side"),
        ("recipes", "unknown-side"),
        ("recipes/none.yaml", "unknown-side"),
        ("recipes/none.yaml@main", "missing-file"),
        ("recipes/tiny.yaml@mian", "unknown-revision"),
        ("recipes/tiny.yaml@-h", "bad-revision"),
    ],
)
def test_what_cannot_be_compared_is_named(repo: Repository, side: str, code: str) -> None:
    ran = xirecipe("diff", side, "recipes/tiny.yaml")
    assert ran.code == 1
    assert f"error[{code}]" in ran.err


def test_a_revision_with_mistakes_shows_them_where_they_are(repo: Repository) -> None:
    repo.folder.recipe({"select.rows": 0})
    repo.commit()
    repo.folder.recipe()
    ran = xirecipe("diff", "recipes/tiny.yaml@HEAD", "recipes/tiny.yaml")
    assert ran.code == 1
    assert "HEAD:tiny.yaml:36:9: error[out-of-range]: `select.rows` must be at least 1, not 0" in ran.err


def test_a_comparison_leaves_nothing_behind(repo: Repository) -> None:
    before = sorted(repo.root.rglob("*"))
    diff("recipes/tiny.yaml@main", "recipes/tiny.yaml")
    assert sorted(repo.root.rglob("*")) == before
    assert xirecipe("diff", "recipes/tiny.yaml").code == 2
