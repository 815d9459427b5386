"""`xirecipe report` as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import xirecipe
from tests.report.conftest import Run


@pytest.fixture
def recipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    plan, store = run.build()
    monkeypatch.setenv("XIRECIPE_STORE", str(store.root))
    monkeypatch.chdir(run.root)
    return plan.path


def test_the_page_is_written_where_one_says_with_the_command_that_made_it(recipe: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "page.html"
    ran = xirecipe("report", recipe, "--to", target)
    assert ran.code == 0, ran.err
    html = target.read_text(encoding="utf-8")
    assert "<code>xirecipe report tiny.yaml --to page.html</code>" in html
    assert str(tmp_path) not in html


def test_without_a_place_it_stands_in_the_store_under_name_and_version(recipe: Path, run: Run) -> None:
    ran = xirecipe("report", recipe)
    assert ran.code == 0, ran.err
    assert (run.root / "store" / "reports" / "tiny-swh-1.0.0-dev.html").exists()


def test_a_recipe_that_never_ran_gets_no_page_but_a_hint(recipe: Path, tmp_path: Path) -> None:
    ran = xirecipe("report", recipe, "--set", "corpus.filters.length.min_chars=6", "--to", tmp_path / "page.html")
    assert ran.code == 1
    assert "no stage of this recipe is done" in ran.err
    assert "xirecipe run tiny.yaml --set corpus.filters.length.min_chars=6" in ran.err
    assert not (tmp_path / "page.html").exists()
