"""A stage of a plan: what it is to do, and what its rows hang on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from xirecipe.columns import (
    MIX_STAGES,
    RATING_COLUMNS,
    TRAIN_COLUMNS,
    Column,
    StageKind,
    columns_after,
    mix_columns_after,
)
from xirecipe.fingerprint import digest
from xirecipe.pairs import Pair, Taught
from xirecipe.recipe.corpus import Corpus, Dedup, Polish
from xirecipe.recipe.decontamination import Decontaminate
from xirecipe.recipe.generation import Exemplars, Generate, Judge, RatingSet, Refine
from xirecipe.recipe.language import Language
from xirecipe.recipe.learning import JudgeFineTune, WriterFineTune
from xirecipe.recipe.mixing import AnswerIn, Dataset, Mix, Translate
from xirecipe.recipe.models import Model
from xirecipe.recipe.selection import Cluster, Embed, Messages, Select, Split

#: Raised by hand when a stage's code starts to give other rows for the same recipe.
REVISIONS: dict[StageKind, int] = {
    "corpus": 2, "dedup": 1, "polish": 1, "match": 1, "train": 3, "generate": 2, "rating_set": 2, "judge": 2,
    "refine": 1, "decontaminate": 1, "embed": 1, "cluster": 1, "select": 1, "messages": 1, "split": 1, "read": 1,
    "translate": 2, "mix": 1,
}  # fmt: skip

Config = (
    Corpus
    | Dedup
    | Polish
    | Exemplars
    | WriterFineTune
    | JudgeFineTune
    | Generate
    | RatingSet
    | Judge
    | Refine
    | Decontaminate
    | Embed
    | Cluster
    | Select
    | Messages
    | Split
    | Dataset
    | Translate
    | Mix
)


@dataclass(frozen=True)
class Stage:
    """One stage: its section of the recipe and everything else its rows hang on, already read."""

    kind: StageKind
    config: Config
    language: Language
    inputs: tuple[Stage, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    """Content hashes of the files it reads (sources, evaluations), by role."""
    prompts: dict[str, str] = field(default_factory=dict)
    """Template texts by the path that names them."""
    exemplars: tuple[Pair, ...] = ()
    model_name: str | None = None
    model: Model | None = None
    dataset: str = ""
    """The name of the dataset that a read or translate stage is for."""
    languages: dict[str, Language] = field(default_factory=dict)
    """The facts of every language that a mixing recipe's stage writes or names, or that a stage has taught pairs in."""
    teaches: Stage | None = None
    """Of a train stage: the stage that will ask the trained model, as it would be without the training."""
    taught: tuple[Taught, ...] = ()
    """Of a writer's train stage: the pairs. Of a rating set: those of `rating_set.seeds`, beside the exemplars."""
    best_by: Refine | None = None
    """Of a writer's train stage in a round: by which rule the candidates that come in give best rows to learn, too."""
    answer_in: dict[str, AnswerIn] = field(default_factory=dict)
    """How prompts of a mix name the language to answer in, by the prompt's language."""
    round: int = 0
    """Of a refine stage and of the training before it, from 1."""
    limit: int | None = None
    """Read only this many documents (`run --limit`, `preview`)."""
    root: Path = Path()
    """The recipe folder; relative paths start here. No part of the identity."""

    @property
    def label(self) -> str:
        """What people call it: its kind, and which round it is, which dataset it is for, or whom it teaches."""
        which = (self.dataset, self.role, self.round)
        return " ".join([self.kind, *(str(each) for each in which if each)])

    @property
    def role(self) -> Literal["", "writer", "judge"]:
        """Of a train stage: whom it teaches."""
        if self.teaches is None:
            return ""
        return "writer" if self.teaches.kind == "generate" else "judge"

    @property
    def slot(self) -> str:
        """Its name among the inputs of another stage: its kind, and its dataset, because a mix has several."""
        return f"{self.kind} {self.dataset}" if self.dataset else self.kind

    def beside(self, kind: StageKind) -> Stage | None:
        """The input of a kind; None where it has none."""
        return next((given for given in self.inputs if given.kind == kind), None)

    @property
    def columns(self) -> list[Column]:
        """The columns of the rows it writes."""
        if self.kind == "train":
            return list(TRAIN_COLUMNS)
        if self.kind == "rating_set":
            return list(RATING_COLUMNS)
        if any(stage.kind in MIX_STAGES[:-1] for stage in self.lineage):
            return mix_columns_after(self.kind)
        return columns_after(self.kind, {stage.kind for stage in self.lineage})

    @property
    def lineage(self) -> Iterator[Stage]:
        """The stage itself, then the stages its rows came through, last first."""
        yield self
        if self.inputs:
            yield from self.inputs[0].lineage

    @property
    def feeding(self) -> tuple[Stage, ...]:
        """The inputs whose rows come in: all of a mix's, none of a writer's training, the first of every other's."""
        if self.kind == "mix":
            return self.inputs
        # A training's rows are pairs; of the candidates that it learns from, only the best join them.
        return () if self.role == "writer" else self.inputs[:1]

    @property
    def asks(self) -> bool:
        """Whether it asks a language model."""
        return (self.model is not None and self.kind != "train") or self.kind == "refine"

    def ancestor(self, kind: StageKind) -> Stage | None:
        """The nearest stage of a kind in the lineage, or None."""
        return next((stage for stage in self.lineage if stage.kind == kind), None)

    def hangs_on(self, other: Stage) -> bool:
        """Whether its rows would be others if `other`'s were."""
        return other.fingerprint in self._before

    @cached_property
    def _before(self) -> frozenset[str]:
        """Fingerprints of all that it hangs on; kept, because a round hangs on the one before by two ways."""
        own = (stage.fingerprint for stage in self.inputs)
        return frozenset(own).union(*(stage._before for stage in self.inputs))

    @property
    def payload(self) -> dict[str, Any]:
        """What is hashed. Defaults are left out, so that a new optional key changes no fingerprint."""
        identity: dict[str, Any] = {"config": _identity(self.config)}
        if self.kind == "corpus":
            read = {"code", "lid_labels", "words"}
            if isinstance(self.config, Corpus) and self.config.clean.max_chars is not None:
                read.add("sentence_enders")
            identity["language"] = self.language.model_dump(mode="json", include=read)
            # The first read of equal documents stays, so the order of sources counts.
            identity["order"] = list(self.config.sources) if isinstance(self.config, Corpus) else []
        cuts_responses = isinstance(self.config, RatingSet) and "truncated" in self.config.middle
        if isinstance(self.config, Polish) or cuts_responses:
            identity["language"] = self.language.model_dump(mode="json", include={"sentence_enders"})
        if isinstance(self.config, RatingSet) and self.taught:
            identity["pairs"] = self._taught
            enders = {code: facts.sentence_enders for code, facts in self.languages.items()}
            identity["sentence_enders"] = enders if cuts_responses else {}
        if isinstance(self.config, Decontaminate):
            identity["language"] = self.language.model_dump(mode="json", include={"words"})
            # A candidate goes for the first evaluation that it repeats.
            identity["order"] = list(self.config.evaluations)
        if self.model is not None:
            identity["model"] = self.model.identity
        if self.exemplars:
            identity["exemplars"] = [[p.instruction, p.response] for p in self.exemplars]
            if isinstance(self.config, Exemplars | RatingSet):
                # Their rows name the pairs.
                identity["exemplars"] = [[p.id, p.instruction, p.response] for p in self.exemplars]
        if self.round:
            identity["round"] = self.round
        if self.dataset:
            # Rows name it.
            identity["dataset"] = self.dataset
        identity |= self._mixing | self._learning
        if self.kind in ("generate", "judge", "messages"):
            # Whatever a prompt can read of it.
            identity["language"] = self.language.model_dump(mode="json", exclude={"filters", "sources", "lid_labels"})
        if self.prompts:
            identity["prompts"] = list(self.prompts.values())
        if self.limit is not None:
            identity["limit"] = self.limit
        inputs = {stage.slot: stage.fingerprint for stage in self.inputs} | self.files
        return {"stage": self.kind, "revision": REVISIONS[self.kind], "identity": identity, "inputs": inputs}

    @property
    def _mixing(self) -> dict[str, Any]:
        """What else the rows of a mixing recipe hang on."""
        shown = {"code", "name", "native_name", "hub_code", "direction"}
        languages = {code: facts.model_dump(mode="json", include=shown) for code, facts in self.languages.items()}
        match self.config:
            case Dataset(versions=versions):
                # Of rows with one id, the first read stays.
                return {"order": list(versions)}
            case Translate(into=into):
                labels = {code: list(self.languages[code].lid_labels) for code in into}
                return {"languages": languages, "lid_labels": labels}
            case Mix(chosen=chosen):
                parts = [[name, part.model_dump(mode="json", exclude_defaults=True)] for name, part in chosen.items()]
                phrases = {code: phrase.model_dump(mode="json") for code, phrase in self.answer_in.items()}
                turns = [list(part.turns) for part in chosen.values()]
                return {"parts": parts, "turns": turns, "languages": languages, "answer_in": phrases}
            case _:
                return {}

    @property
    def _taught(self) -> list[list[str]]:
        return [[t.seed, t.pair.id, t.language, t.pair.instruction, t.pair.response] for t in self.taught]

    @property
    def _learning(self) -> dict[str, Any]:
        """What else a trained model hangs on: its pairs, and how the stage that will ask it makes a prompt of one."""
        if self.teaches is None:
            return {}
        asks = self.teaches
        found: dict[str, Any] = {"role": self.role}
        if self.taught:
            found["pairs"] = self._taught
        if self.best_by is not None:
            found["best"] = self.best_by.model_dump(mode="json", include={"score", "min_score", "max_learnt_rows"})
        if isinstance(asks.config, Generate):
            found["max_prompt_chars"] = asks.config.max_prompt_chars
        if isinstance(asks.config, Judge) and asks.config.rubric is not None:
            found["levels"] = asks.config.rubric.levels
            found["examples_per_level"] = asks.config.rubric.examples_per_level if asks.config.shows_examples else 0
        elif isinstance(asks.config, Judge) and asks.config.likelihood is not None:
            found["max_chars"] = asks.config.likelihood.max_chars
        facts = self.languages or {self.language.code: self.language}
        read = {"filters", "sources", "lid_labels"}
        found["languages"] = {code: known.model_dump(mode="json", exclude=read) for code, known in facts.items()}
        found["exemplars"] = [[pair.instruction, pair.response] for pair in asks.exemplars]
        return found

    @cached_property
    def fingerprint(self) -> str:
        """sha256 (hexadecimal) over [kind, revision, identity, inputs]."""
        payload = self.payload
        return digest([payload["stage"], payload["revision"], payload["identity"], payload["inputs"]])


#: What a section says that changes no row by itself, by place: paths stand for contents that are hashed, licences are
#: for people; prompts, exemplars and models enter with their content.
_NO_IDENTITY: dict[type[BaseModel], Any] = {
    Corpus: {"sources": {"__all__": {"path", "license"}}},
    # What a random choice drew is hashed as it is.
    Exemplars: {"seed", "random_seed"},
    # A round's training enters as its input.
    Refine: {"rounds", "learn", "max_learnt_rows"},
    Generate: {"model", "prompt", "exemplars", "learn"},
    Decontaminate: {"evaluations": {"__all__": {"path", "license"}}},
    Judge: {"model": True, "rubric": {"prompt"}, "likelihood": {"prompt"}, "learn": True},
    # Of its pairs and of the model that learns, what counts stands beside.
    WriterFineTune: {"seeds"},
    RatingSet: {"seeds"},
    # Its licences stand in the rows.
    Dataset: {"versions": {"__all__": {"path"}}},
    Translate: {"model", "prompt"},
    # Parts that are not chosen make no row; those that are stand beside, in their order.
    Mix: {"parts", "choices", "choice"},
}


def _identity(section: BaseModel) -> Any:
    """A section without its defaults and without what cannot change rows."""
    return section.model_dump(mode="json", exclude_defaults=True, exclude=_NO_IDENTITY.get(type(section)))
