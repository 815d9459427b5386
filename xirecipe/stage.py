"""A stage of a plan: what it is to do, what its rows hang on, and what its engine hands back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from xirecipe.columns import StageKind
from xirecipe.fingerprint import digest
from xirecipe.recipe.corpus import Corpus, Dedup
from xirecipe.recipe.generation import Generate, Judge
from xirecipe.recipe.language import Language
from xirecipe.recipe.models import Model
from xirecipe.recipe.selection import Cluster, Embed, Select, Split
from xirecipe.settings import Settings
from xirecipe.spending import Spending
from xirecipe.store import Artifact, Store

#: Raised by hand when a stage's code starts to give other rows for the same recipe.
REVISIONS: dict[StageKind, int] = {
    "corpus": 1, "dedup": 1, "generate": 1, "judge": 1, "embed": 1, "cluster": 1, "select": 1, "split": 1,
}  # fmt: skip

Config = Corpus | Dedup | Generate | Judge | Embed | Cluster | Select | Split


@dataclass(frozen=True)
class Pair:
    """A seed pair: a human-written English instruction and its response in the target language."""

    id: str
    instruction: str
    response: str


@dataclass(frozen=True)
class Exemplar:
    """A seed pair as a prompt sees it. Without its id: what a prompt can read is what is hashed."""

    instruction: str
    response: str


@dataclass(frozen=True)
class Stage:
    """One stage: its section of the recipe and everything else its rows hang on, already read."""

    kind: StageKind
    config: Config
    language: Language
    inputs: tuple[Stage, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    """Content hashes of the files it reads (sources, seed), by role."""
    prompts: dict[str, str] = field(default_factory=dict)
    """Template texts by the path that names them."""
    exemplars: tuple[Pair, ...] = ()
    model_name: str | None = None
    model: Model | None = None
    limit: int | None = None
    """Read only this many documents (`run --limit`, `preview`)."""
    root: Path = Path()
    """The recipe folder; relative paths start here. No part of the identity."""

    @property
    def payload(self) -> dict[str, Any]:
        """What is hashed. Defaults are left out, so that a new optional key changes no fingerprint."""
        identity: dict[str, Any] = {"config": _identity(self.config)}
        if self.kind == "corpus":
            identity["language"] = self.language.model_dump(mode="json", include={"code", "lid_labels", "words"})
            # The first read of equal documents stays, so the order of sources counts.
            identity["order"] = list(self.config.sources) if isinstance(self.config, Corpus) else []
        if self.model is not None:
            identity["model"] = self.model.model_dump(mode="json", exclude_defaults=True, exclude={"license"})
        if self.exemplars:
            identity["exemplars"] = [[p.instruction, p.response] for p in self.exemplars]
        if self.kind in ("generate", "judge"):
            # Whatever a prompt can read of it.
            identity["language"] = self.language.model_dump(mode="json", exclude={"filters", "sources", "lid_labels"})
        if self.prompts:
            identity["prompts"] = list(self.prompts.values())
        if self.limit is not None:
            identity["limit"] = self.limit
        inputs = {stage.kind: stage.fingerprint for stage in self.inputs} | self.files
        return {"stage": self.kind, "revision": REVISIONS[self.kind], "identity": identity, "inputs": inputs}

    @property
    def fingerprint(self) -> str:
        """sha256 (hexadecimal) over [kind, revision, identity, inputs]."""
        payload = self.payload
        return digest([payload["stage"], payload["revision"], payload["identity"], payload["inputs"]])


#: What a section says that changes no row by itself, by place: paths stand for contents that are hashed, licences are
#: for people; prompts, exemplars and models enter with their content.
_NO_IDENTITY: dict[type[BaseModel], Any] = {
    Corpus: {"sources": {"__all__": {"path", "license"}}},
    Generate: {"model", "prompt", "exemplars"},
    Judge: {"model": True, "rubric": {"prompt"}, "likelihood": {"prompt"}},
}


def _identity(section: BaseModel) -> Any:
    """A section without its defaults and without what cannot change rows."""
    return section.model_dump(mode="json", exclude_defaults=True, exclude=_NO_IDENTITY.get(type(section)))


@dataclass(frozen=True)
class Progress:
    """How far a stage is: `done` of `total` units (documents, answers); total is None where unknown."""

    done: int
    total: int | None
    unit: str


@dataclass(frozen=True)
class Work:
    """What an engine gets: the stage, where its input lies, and where to write.

    The engine writes `output.data/*.parquet`, `output.dropped/*.parquet`, `output.failed/*.parquet` in the columns of
    `xirecipe.columns`, and returns an Outcome; the runner checks it and writes the manifest.
    """

    stage: Stage
    inputs: dict[StageKind, Artifact]
    output: Artifact
    store: Store
    settings: Settings
    report: Callable[[Progress], None]
    budget: Spending | None = None


@dataclass(frozen=True)
class Outcome:
    """Counts of a finished stage, in the manifest's terms."""

    rows_in: int
    asked: int
    kept: int
    dropped: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
