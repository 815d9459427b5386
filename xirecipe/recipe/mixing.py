"""`datasets:`, `answer_in:`, `translate:` and `mix:` of a mixing recipe: data, and how rows are made of it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from xirecipe.recipe.base import LanguageCode, PositiveInt, Ratio, Revision, Section
from xirecipe.recipe.models import Embedder, Sampling

Shape = Literal["monolingual", "cross_lingual", "translation", "contrastive"]
#: `en` is English; `x` is any other language of the part, and two of them in `x->x` are different.
Direction = Literal["en->x", "x->en", "x->x"]
#: Part of a row's id, of a file name and of a config's name on the Hub.
SlotName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]

ENGLISH = "eng_Latn"
#: `align_on` of versions that stand line by line.
ROW_NUMBER = "row_number"

#: How a user's turn is written where a part does not say it. `answer_in` names the answer's language.
PROMPTS: dict[Shape, tuple[str, ...]] = {
    "monolingual": ("{{ instruction }}",),
    "cross_lingual": ("{{ instruction }} {{ answer_in }}",),
    "translation": (
        "Translate this text from {{ language.name }} to {{ answer_language.name }}:\n\n{{ instruction }}",
    ),
    "contrastive": (),
}


class Columns(Section):
    """What the columns of a dataset are called.

    Into lists and mappings go paths: `conversations[0]` the first of a list, `prompt.text` a value of a mapping,
    `messages[role=user].content` a value of the first mapping in a list whose `role` is `user`.
    """

    instruction: str = "instruction"
    input: str | None = None
    """What an instruction works on, where the dataset keeps it apart."""
    response: str | None = "response"
    """Null for a dataset of texts alone: sentences in several languages, which lie under `instruction`."""
    id: str = "id"
    """Of datasets that are not aligned; the row's number where a row has none."""


class VersionFacts(Section):
    """What one language version of a dataset says where it differs from the others."""

    license: str | None = None
    """The dataset's when not given."""
    columns: Columns | None = None
    """The dataset's when not given."""
    where: dict[str, str] = {}  # noqa: RUF012  pydantic copies defaults
    """Column, or a path into one, -> value: only rows that have it, for files that hold several languages."""


class FileVersion(VersionFacts):
    """Local files. Their content is hashed into the plan; where they lie is not."""

    format: Literal["jsonl", "parquet", "csv"]
    path: str
    """A file, or a folder whose files are all read. Relative to the recipe's folder."""


class HubVersion(VersionFacts):
    """A dataset repository on the Hugging Face Hub, at a pinned commit."""

    format: Literal["hub"]
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: Revision
    """The commit hash. A branch name moves, and rows with it."""
    files: str = Field(min_length=1)
    """Parquet or JSON Lines files to read inside the repository, as a glob."""


Version = Annotated[FileVersion | HubVersion, Field(discriminator="format")]


class Dataset(Section):
    """Instruction data in one language or several."""

    license: str
    """As the Hub names it, or `other: ...` in words."""
    versions: dict[LanguageCode, Version] = Field(min_length=1)
    columns: Columns = Columns()
    align_on: str | None = "id"
    """The column with which rows of different languages are versions of one another; `row_number` where they stand line
    by line; null where rows of different languages have nothing to do with one another."""
    input_template: str = "{{ instruction }}\n\n{{ input }}"
    """How an instruction and its input, where it has one, become one text."""


class AnswerIn(Section):
    """How a language says in which language to answer."""

    phrase: str
    """Shown after an instruction in this language. Sees `name`: `Jibu kwa {{ name }}.`"""
    names: dict[LanguageCode, str] = {}  # noqa: RUF012  pydantic copies defaults
    """What other languages are called in it, in the form that the phrase needs. In English, `name` of the language
    files where it is not given."""


class RoundTrip(Section):
    """A translation is translated back and compared with the original."""

    min_similarity: Ratio
    """Cosine of the embeddings of an original and of what came back; of the field where it is lowest."""
    embedding: Embedder = Embedder()


class Translate(Section):
    """A model translates a dataset; what does not come back as it went is dropped."""

    into: tuple[LanguageCode, ...] = Field(min_length=1, strict=False)
    from_language: LanguageCode = ENGLISH
    model: str
    """A name under `models:`."""
    prompt: str
    """A template under the recipe folder. Sees `text`, `language` (of the text) and `answer_language`."""
    sampling: Sampling = Sampling(temperature=0, max_tokens=1024)
    round_trip: RoundTrip | None = None
    min_language_score: Ratio | None = None
    """Score of the language by lid.176 over the translated instruction and response together. Short texts of some
    languages score next to nothing: half of the sample's Swahili rows, written by people, stay below 0.3."""
    max_source_language_score: Ratio | None = None
    """Score of the source language, of each translated text of 20 characters or more: what was not translated. English
    above 0.5 takes at most 0.9 % of true translations into ten languages, and 98 % of English sentences."""


class Part(Section):
    """Rows of one shape out of one dataset."""

    dataset: str
    """A name under `datasets:`."""
    shape: Shape
    """`monolingual`: a row as it is. `cross_lingual`: the answer in another language than the instruction.
    `translation`: a text, and the same text in another language. `contrastive`: the same, as a pair of texts."""
    config: SlotName = "instruct"
    """The config of the release that the rows stand in. `default` has the rows of all of them, with their origins."""
    languages: tuple[LanguageCode, ...] = Field((), strict=False)
    """All that the dataset has when not given."""
    directions: tuple[Direction, ...] = Field((), strict=False)
    """Every drawn row gives a row for each."""
    rows: PositiveInt | None = None
    """How many rows of the dataset are drawn; all when not given."""
    share: Ratio | None = None
    """Instead of `rows`: the share of `mix.total`."""
    replacement: bool = False
    """A row may be drawn again. Without it, every row is drawn once at most."""
    at_most: bool = False
    """Take what is there where it is less than what is asked for."""
    repeat: PositiveInt = 1
    """Every drawn row is taken so many times, each time with languages of its own."""
    spread: Literal["drawn", "even", "every"] = "drawn"
    """Which language a drawn row is taken in. `drawn`: any, with equal probability. `even`: all equally often, which is
    exact. `every`: all of them, one row each."""
    other_answer_probability: Ratio | None = None
    """For `cross_lingual` without directions: how often the answer is in another language than the instruction."""
    flip_probability: Ratio = 0.0
    """For `translation`: how often a row's direction is turned round."""
    same_draws_as: str | None = None
    """The part whose draws these are: the same rows in the same languages, in another shape."""
    replaces: str | None = None
    """The part that these rows are drawn from and taken out of, so that the total stays what it was. Rows of another
    dataset take the place of as many of its rows."""
    name_answer_in: Literal["prompt_language", "english"] = "prompt_language"
    """The language in which `answer_in` names the answer's language."""
    prompts: tuple[str, ...] = Field((), strict=False)
    """Templates of the user's turn, one drawn for each row; see `instruction`, `answer_in`, `language` (of the
    instruction) and `answer_language`. By shape when not given."""
    seed: int = 0

    @model_validator(mode="after")
    def _keys_fit_the_shape(self) -> Self:
        if self.config == "default":
            raise ValueError("config `default` is for the rows of all configs; name another one")
        if self.rows is not None and self.share is not None:
            raise ValueError("rows and share exclude one another")
        if self.same_draws_as is not None and (self.rows is not None or self.share is not None):
            raise ValueError("with same_draws_as there is nothing to draw; leave rows and share out")
        if self.other_answer_probability is not None and self.shape != "cross_lingual":
            raise ValueError("other_answer_probability is for `shape: cross_lingual`")
        if self.other_answer_probability is not None and self.directions:
            raise ValueError("directions and other_answer_probability exclude one another")
        if self.flip_probability and self.shape != "translation":
            raise ValueError("flip_probability is for `shape: translation`")
        if self.directions and self.shape == "monolingual":
            raise ValueError("directions are not for `shape: monolingual`")
        if self.shape == "cross_lingual" and not self.directions and self.other_answer_probability is None:
            raise ValueError("`shape: cross_lingual` needs directions or other_answer_probability")
        if self.shape == "translation" and not self.directions:
            raise ValueError("`shape: translation` needs directions")
        return self

    @property
    def turns(self) -> tuple[str, ...]:
        """The templates of the user's turn."""
        return self.prompts or PROMPTS[self.shape]


class Mix(Section):
    """What the dataset is made of."""

    total: PositiveInt | None = None
    """What shares are of: rows of the datasets that all parts draw together."""
    choice: str | None = None
    """Which of the choices is made."""
    choices: dict[SlotName, Annotated[tuple[str, ...], Field(strict=False, min_length=1)]] = {}  # noqa: RUF012
    """Name -> parts: several mixes of the same parts. All parts make one mix when not given."""
    parts: dict[SlotName, Part] = Field(min_length=1)

    @property
    def chosen(self) -> dict[str, Part]:
        """The parts that are made, in the order in which the choice names them."""
        names = self.choices.get(self.choice or "", tuple(self.parts))
        return {name: self.parts[name] for name in names if name in self.parts}
