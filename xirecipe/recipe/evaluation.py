"""`evaluate:` of a recipe: how `xirecipe evaluate` judges sets of answers. Which sets, the command says."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from xirecipe.recipe.base import LanguageCode, PositiveInt, Section
from xirecipe.recipe.learning import FineTune
from xirecipe.recipe.models import Embedder

#: Of the zero-shot study (arXiv 2402.14778).
SIX_ASPECTS = (
    "correct_language",
    "fluency",
    "helpfulness",
    "factual_accuracy",
    "logical_coherence",
    "harmlessness",
)
AspectName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Pairwise(Section):
    """Two answers to one prompt, 0-10 each, in both orders (X-Instruction, arXiv 2405.19744)."""

    prompt: str
    """A template under the recipe folder. Sees `prompt`, `first`, `second`, `answer_language` and `language`."""


class Aspects(Section):
    """One answer, a whole number for each aspect (the zero-shot study, arXiv 2402.14778)."""

    prompt: str
    """A template under the recipe folder. Sees `prompt`, `answer`, `answer_language`, `language` and `aspects`: the
    keys of the JSON object that the reply must have."""
    names: tuple[AspectName, ...] = Field(SIX_ASPECTS, strict=False, min_length=1)
    lowest: int = 1
    highest: int = 3
    forces: dict[str, Annotated[tuple[str, ...], Field(strict=False)]] = {  # noqa: RUF012  pydantic copies defaults
        "fluency": ("helpfulness", "factual_accuracy", "logical_coherence")
    }
    """Aspect -> aspects that are `lowest` wherever it is: what cannot be read is not helpful. Enforced."""

    @model_validator(mode="after")
    def _aspects_fit(self) -> Self:
        if self.lowest >= self.highest:
            raise ValueError(f"lowest ({self.lowest}) is not below highest ({self.highest})")
        if len(set(self.names)) != len(self.names):
            raise ValueError("names has an aspect twice")
        if "forces" in self.model_fields_set:
            for name in [name for cause, forced in self.forces.items() for name in (cause, *forced)]:
                if name not in self.names:
                    raise ValueError(f"forces names `{name}`, which is not in names")
        return self


class Choices(Section):
    """A model answers multiple-choice items, for its consistency over languages (CrossIn, arXiv 2404.11932)."""

    model: str
    """A name under `models:`; a base model will do."""
    prompt: str
    """A template under the recipe folder, up to where the answer begins. Sees `question` and `options`, which have
    `letter` and `text`."""
    by: Literal["likelihood", "letter"] = "likelihood"
    """`likelihood`: it chooses the option whose text is the most probable after the prompt, per byte of it. `letter`:
    the option whose letter is the most probable next word."""


class Students(Section):
    """Does a dataset help? One model, fine-tuned on as many rows of each set, before answers that it never saw.

    X-Instruction's comparison (arXiv 2405.19744) in small: how probable answers of people become, and how near the
    model's own ones come to them.
    """

    model: str
    """A name under `models:` whose weights can be trained: embedded, or vLLM's."""
    prompt: str
    """A template under the recipe folder, up to where the answer begins. Sees `instruction` and `language`, which is
    the answer's."""
    held_out: dict[LanguageCode, str] = Field(min_length=1)
    """Language -> JSON-lines file of `instruction` and `response` written by people, with an `id` where there is one.
    Relative to the recipe's folder. Rows with one of these instructions or responses are not learnt from."""
    rows: PositiveInt = 1000
    """Of each set and language, at most: the set that has the fewest of a language says how many."""
    max_answer_chars: PositiveInt = 300
    """Answers, those held out too, are cut after so many characters, at a sentence end."""
    learn: FineTune = FineTune(method="fine_tune")
    """Every set is learnt in as many steps, from the same first values."""
    max_tokens: PositiveInt = 128
    """Of an answer of the model's own, which is always the most probable word after word."""
    embedding: Embedder = Embedder()
    """By which an answer of the model is compared with the one that a person wrote."""


class Bootstrap(Section):
    """95 % intervals by resampling rows (percentile method)."""

    samples: PositiveInt = 10_000
    seed: int = Field(0, ge=0)


class Evaluate(Section):
    """What answers and datasets are worth. Nothing here changes a row of the dataset."""

    model: str | None = None
    """A name under `models:`; one that follows instructions (`prompt_format: chat`)."""
    pairwise: Pairwise | None = None
    aspects: Aspects | None = None
    choices: Choices | None = None
    students: Students | None = None
    temperature: float = Field(0, ge=0, le=2)
    max_tokens: PositiveInt = 1024
    """Of one reply. A reply that is cut off is a failure, so leave room for reasons."""
    prompt_sets: dict[str, str] = {}  # noqa: RUF012  pydantic copies defaults
    """Name -> file of prompts (Vicuna's 80, WizardLM's 218): results stand for each set as well. JSON Lines, parquet or
    CSV with `prompt`, `instruction` or `text`; relative to the recipe's folder."""
    bootstrap: Bootstrap = Bootstrap()

    @property
    def files(self) -> list[str]:
        """What it reads, by the paths that it names: prompts, sets of them, and answers held out."""
        asking = (self.pairwise, self.aspects, self.choices, self.students)
        held_out = self.students.held_out.values() if self.students is not None else ()
        return [*(part.prompt for part in asking if part is not None), *self.prompt_sets.values(), *held_out]
