"""`generate:` and `judge:` of a recipe: a model writes instructions, a model rates them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from xirecipe.recipe.base import PositiveInt, Ratio, Section
from xirecipe.recipe.models import Sampling


class Exemplars(Section):
    """Human-written pairs shown in the prompt."""

    seed: str
    """A JSON-lines file of pairs: `id`, `instruction`, `response`. Relative to the recipe's folder."""
    license: str
    count: PositiveInt = 3
    choice: Literal["fixed", "random"] = "fixed"
    """`fixed`: the ids below, or the first `count`. `random`: drawn once for the recipe by `random_seed`."""
    ids: tuple[str, ...] = Field((), strict=False)
    random_seed: int = 0

    @model_validator(mode="after")
    def _ids_fit_the_choice(self) -> Self:
        if self.ids and self.choice == "random":
            raise ValueError("ids are for `choice: fixed`")
        if self.ids and len(self.ids) != self.count:
            raise ValueError(f"ids names {len(self.ids)} pairs but count is {self.count}")
        return self


class Guards(Section):
    """What makes a written instruction unusable, whatever its score. A guard that is null does not run."""

    min_english_score: Ratio | None = 0.25
    """Score of English by lid.176 over the instruction; place names pull it down, other languages stay below 0.15."""
    max_exemplar_similarity: Ratio | None = 0.8
    """Shared share of words (Jaccard) with the nearest exemplar's instruction: above it, the model copied."""
    max_leaked_words: PositiveInt | None = 5
    """Longest run of the text's own words inside the instruction."""
    missing_input: bool = True
    """Drop instructions that ask for work on a text the row does not contain ("translate the article")."""
    min_words: PositiveInt | None = 3
    max_words: PositiveInt | None = 80


class Generate(Section):
    """One instruction for a text, `draws` times; guards drop what cannot be used."""

    model: str
    """A name under `models:`."""
    prompt: str
    """A template under the recipe folder. Sees the row's columns, `exemplars` and `language`."""
    exemplars: Exemplars
    draws: PositiveInt = 1
    max_prompt_chars: PositiveInt | None = None
    """Cut the text that the prompt shows after this many characters, at a sentence end. The row keeps it whole."""
    sampling: Sampling = Sampling()
    guards: Guards = Guards()


class Rubric(Section):
    """Levels named by one short label each; the score is their mean value under the model's label probabilities."""

    prompt: str
    levels: dict[str, float] = Field(min_length=2)
    """Label the model writes -> value: `{"3": 3, "2": 2, "1": 1}` (X-Instruction's three levels, arXiv 2405.19744)."""


class Likelihood(Section):
    """How much the instruction raises the model's probability of the text.

    (log p(text | instruction) - log p(text)) / tokens, both behind the same prompt.
    """

    prompt: str
    """Template of what stands before the text; sees the row's columns, with `instruction` empty for p(text)."""
    max_chars: PositiveInt = 400
    """Only the first characters of the text are scored, cut at a sentence end."""


class Judge(Section):
    """Scores for every candidate. Annotates; `select` decides."""

    model: str
    rubric: Rubric | None = None
    likelihood: Likelihood | None = None

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if self.rubric is None and self.likelihood is None:
            raise ValueError("judge needs `rubric`, `likelihood`, or both")
        return self
