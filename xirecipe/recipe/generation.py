"""`seed:`, `generate:`, `rating_set:`, `judge:` and `refine:` of a recipe: models write instructions and rate them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from xirecipe.recipe.base import PositiveInt, Ratio, Section
from xirecipe.recipe.learning import FineTune, InContext, JudgeLearn, LearnSeed, WriterLearn
from xirecipe.recipe.models import Embedder, Sampling

#: The judge's methods, and so the scores a candidate can have.
Score = Literal["rubric", "likelihood", "similarity"]
Middle = Literal["truncated", "neighbour"]


class Seed(Section):
    """Human-written pairs of an English instruction and a response in the recipe's language."""

    path: str
    """A JSON-lines file of pairs: `id`, `instruction`, `response`. Relative to the recipe's folder."""
    license: str


class Exemplars(Section):
    """Seed pairs shown in the prompt."""

    count: int = Field(3, ge=0)
    """0: the prompt shows none, because the model has learnt in another way (`models.<name>.adapter`)."""
    choice: Literal["fixed", "random", "nearest"] = "fixed"
    """`fixed`: the ids below, or the first `count`. `random`: drawn once for the recipe by `random_seed`. `nearest`:
    for each document the pairs whose responses are most like it, the most similar last, next to the question."""
    ids: tuple[str, ...] = Field((), strict=False)
    random_seed: int = 0
    max_tokens: PositiveInt | None = None
    """What the exemplars may take of a prompt, in tokens, estimated from their characters; later pairs go first."""
    seed: Seed | None = None
    """Other pairs than the recipe's `seed`."""
    embedding: Embedder = Embedder()
    """For `nearest`."""

    @model_validator(mode="after")
    def _ids_fit_the_choice(self) -> Self:
        if self.count == 0 and self.choice == "nearest":
            raise ValueError("`choice: nearest` chooses pairs to show, and `count: 0` shows none")
        if self.ids and self.choice != "fixed":
            raise ValueError("ids are for `choice: fixed`")
        if self.ids and len(self.ids) != self.count:
            raise ValueError(f"ids names {len(self.ids)} pairs but count is {self.count}")
        return self


class Guards(Section):
    """What makes a written instruction unusable, whatever its score. A guard that is null does not run."""

    min_english_score: Ratio | None = 0.25
    """Score of English by lid.176 over the instruction; place names pull it down, other languages stay below 0.15."""
    max_exemplar_similarity: Ratio | None = 0.8
    """Shared share of words (Jaccard) with the nearest instruction of an exemplar or a pair that was learnt from: above
    it, the model copied."""
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
    learn: WriterLearn = InContext()
    """How the model learns from the seed: from `exemplars` in its prompt, or by training on all pairs."""

    @property
    def shows_exemplars(self) -> bool:
        """Whether the prompt gets exemplars: a model that was trained needs none."""
        return not isinstance(self.learn, FineTune) or self.learn.exemplars


#: Of a rating set; fewer leave no part to learn from beside the part held out.
MIN_RATED_PAIRS = 4


class RatingSet(Section):
    """Rated pairs for the evaluator, made from the seed: no person rates anything.

    Of every seed pair: the pair itself (top), its instruction with a response that fits in part (middle), and its
    instruction with another pair's response (bottom). The evaluator learns from one part of it and is measured on the
    part held out; a pair's three rows never stand on both sides.
    """

    held_out_ratio: float = Field(0.4, gt=0, lt=1)
    middle: tuple[Middle, ...] = Field(("truncated", "neighbour"), min_length=1, strict=False)
    """How a partly fitting response is made, in turn: the first third of the right one, or the response of the pair
    whose instruction is nearest by embedding."""
    random_seed: int = 0
    embedding: Embedder = Embedder()
    seeds: dict[str, LearnSeed] = {}  # noqa: RUF012  pydantic copies defaults
    """More pairs for an evaluator that is trained, by names of your choice; rated pairs are made within each of them.
    Prompts show none of these, and what the evaluator is worth is measured on the recipe's own."""


class Rubric(Section):
    """Levels named by one short label each; the score is their mean value under the model's label probabilities."""

    prompt: str
    levels: dict[str, float] = Field(min_length=2)
    """Label the model writes -> value: `{"3": 3, "2": 2, "1": 1}` (X-Instruction's three levels, arXiv 2405.19744)."""
    examples_per_level: int = Field(0, ge=0)
    """Rated pairs of the rating set that the prompt sees as `examples`: this many of each of three levels."""


class Likelihood(Section):
    """How much instruction and text raise the model's probability of each other.

    (log p(text | instruction) - log p(text)) / tokens of the text, both behind the same prompt; or the other way round.
    """

    prompt: str
    """Template of what stands before the text, or the instruction, that is scored, which it sees empty; as it sees the
    other one for the probability alone. Else it sees the row's columns."""
    of: Literal["text", "instruction"] = "text"
    """What is scored. `instruction`: behind a writer's prompt (whose `exemplars` are none), a model that has learnt to
    write instructions says how much likelier the text makes this one."""
    max_chars: PositiveInt = 400
    """Only the first characters of the text are scored or shown, cut at a sentence end."""


class Similarity(Embedder):
    """Cosine of the embeddings of instruction and text. Asks no model; says whether both speak of one subject."""

    max_chars: PositiveInt = 1000
    """Only the first characters of the text are embedded: about what the model's 512 tokens hold."""


class Judge(Section):
    """Scores for every candidate. Annotates; `select` decides."""

    model: str | None = None
    """A name under `models:`; needed by `rubric` and `likelihood`."""
    rubric: Rubric | None = None
    likelihood: Likelihood | None = None
    similarity: Similarity | None = None
    learn: JudgeLearn = InContext()
    """How the model learns the rubric's levels: from examples in its prompt, or by training on the rating set. Where
    there is no rubric, training teaches the `likelihood` of an instruction."""

    @property
    def shows_examples(self) -> bool:
        """Whether the rubric's prompt gets examples: a model that was trained needs none."""
        return not isinstance(self.learn, FineTune) or self.learn.exemplars

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if self.rubric is None and self.likelihood is None and self.similarity is None:
            raise ValueError("judge needs `rubric`, `likelihood` or `similarity`, or several of them")
        if self.model is None and (self.rubric or self.likelihood):
            raise ValueError("`rubric` and `likelihood` need a `model`")
        if isinstance(self.learn, FineTune) and self.rubric is None and not self.scores_instructions:
            raise ValueError("`learn` teaches a `rubric`, or a `likelihood` with `of: instruction`; there is none")
        return self

    @property
    def scores_instructions(self) -> bool:
        """Whether it is the instruction whose likelihood counts."""
        return self.likelihood is not None and self.likelihood.of == "instruction"

    @property
    def asked(self) -> str | None:
        """The name of the model that is asked for ratings; None where nothing asks one, whatever is named."""
        return self.model if self.rubric is not None or self.likelihood is not None else None


class Refine(Section):
    """Rounds after the first rating (X-Instruction's refinement, arXiv 2405.19744).

    Each round shows the best candidates so far to writer and evaluator as exemplars, writes new drafts for documents
    whose best draft is flawed or that have none left, and rates all candidates again. With `learn`, the writer is
    trained on them before each round instead.
    """

    rounds: PositiveInt = 2
    score: Score = "rubric"
    """Which of the judge's scores says what is best and what is flawed."""
    min_score: float
    """A document whose best draft scores less is flawed."""
    draws: PositiveInt = 1
    """New drafts of a flawed document in each round."""
    exemplars: int = Field(2, ge=0)
    """Best candidates that join the exemplars of the writer and, where its prompt sees examples, of the evaluator. With
    `learn` the writer's prompt stays as it was learnt."""
    max_exemplar_chars: PositiveInt = 1500
    """Only candidates whose text has at most so many characters become exemplars: whole texts, as a cut one would teach
    that a cut text fits, and few enough tokens for a prompt in any script."""
    min_changed_ratio: Ratio = 0.02
    """A round that gave fewer than this share of the documents another best draft is the last one."""
    learn: bool = False
    """Train the writer anew before each round, where `generate.learn` is `fine_tune`: the same base model, on the same
    pairs and the best rows so far. Pairs held out stay held out."""
    max_learnt_rows: PositiveInt = 1000
    """Best rows of a round's training: of each document its best draft, where that is not flawed and no instruction
    twice; at most so many, the highest scores first, ties by document id."""
