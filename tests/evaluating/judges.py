"""What the tests of the judged metrics share: the repository's own prompts, and a language to ask in."""

from __future__ import annotations

from typing import Any

from tests.builders import REPOSITORY
from xirecipe.evaluating.answers import Answered, Pair
from xirecipe.evaluating.judging import Questioner
from xirecipe.recipe.evaluation import Evaluate
from xirecipe.recipe.language import Language

SWAHILI = Language(
    code="swh_Latn", name="Swahili", native_name="Kiswahili", hub_code="sw", lid_labels=("sw",), sources=("tests",)
)


def questioner(prompt: str, **config: Any) -> Questioner:
    """Asks with a prompt of the repository, such as `compare_answers`."""
    name = f"prompts/{prompt}.chat.j2"
    template = (REPOSITORY / "recipes" / name).read_text(encoding="utf-8")
    return Questioner(Evaluate.model_validate(config), name, template, SWAHILI, {"fin_Latn": "Finnish"})


def pair(a: str = "Mvua", b: str = "Jua", prompt: str = "Kuna nini?", language: str | None = None) -> Pair:
    return Pair(Answered("1", prompt, a, language), Answered("1", prompt, b, language))
