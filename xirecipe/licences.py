"""What licences ask of a dataset made from texts and with models under them, for the licences that occur there.

A table of facts and rules over it; no legal advice. What a licence that is not in the table asks is for people to read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from xirecipe.recipe.learning import SEEDS_PLACES, WriterFineTune
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.models import ServerModel
from xirecipe.recipe.recipe import Recipe

#: In words, for what has no identifier on the Hub.
OTHER = "other:"


@dataclass(frozen=True)
class Terms:
    """What one licence asks. `compatible`: licences that adapted material may have beside the same one."""

    attribution: bool = True
    share_alike: bool = False
    non_commercial: bool = False
    no_derivatives: bool = False
    use_terms: str | None = None
    """Where a list of forbidden uses stands that goes with what is made."""
    compatible: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What it asks of who passes the data on, in a few words."""
        asked = [
            ("no changed versions", self.no_derivatives), ("no commercial use", self.non_commercial),
            ("the same licence for what is made from it", self.share_alike),
            ("credit to its authors", self.attribution),
            (f"keeping to its terms of use ({self.use_terms})", self.use_terms is not None),
        ]  # fmt: skip
        return ", ".join(words for words, on in asked if on) or "nothing"


_FREE, _CREDIT = Terms(attribution=False), Terms()
_BY_SA_4 = Terms(share_alike=True, compatible=("gpl-3.0",))
_COPYLEFT = Terms(share_alike=True)
#: By the Hub's identifiers (docs/hub/repositories-licenses.md of github.com/huggingface/hub-docs, which follow SPDX's);
#: terms from the deeds at creativecommons.org/licenses and opendatacommons.org/licenses, share-alike compatibility from
#: creativecommons.org/share-your-work/licensing-considerations/compatible-licenses, and the texts of the others.
TERMS: dict[str, Terms] = {
    "cc0-1.0": _FREE, "pddl": _FREE, "unlicense": _FREE, "wtfpl": _FREE,
    "odc-by": _CREDIT, "cc-by-2.0": _CREDIT, "cc-by-2.5": _CREDIT, "cc-by-3.0": _CREDIT, "cc-by-4.0": _CREDIT,
    "etalab-2.0": _CREDIT, "cdla-permissive-1.0": _CREDIT, "cdla-permissive-2.0": _CREDIT,
    "apache-2.0": _CREDIT, "mit": _CREDIT, "bsd": _CREDIT, "bsd-2-clause": _CREDIT, "bsd-3-clause": _CREDIT,
    "isc": _CREDIT, "zlib": _CREDIT, "bsl-1.0": _CREDIT,
    "cc-by-sa-3.0": Terms(share_alike=True, compatible=("cc-by-sa-4.0", "gpl-3.0")), "cc-by-sa-4.0": _BY_SA_4,
    "odbl": _COPYLEFT, "cdla-sharing-1.0": _COPYLEFT, "gfdl": _COPYLEFT,
    "gpl-2.0": _COPYLEFT, "gpl-3.0": Terms(share_alike=True, compatible=("agpl-3.0",)), "agpl-3.0": _COPYLEFT,
    "cc-by-nc-2.0": Terms(non_commercial=True), "cc-by-nc-3.0": Terms(non_commercial=True),
    "cc-by-nc-4.0": Terms(non_commercial=True),
    "cc-by-nc-sa-2.0": Terms(share_alike=True, non_commercial=True, compatible=("cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0")),
    "cc-by-nc-sa-3.0": Terms(share_alike=True, non_commercial=True, compatible=("cc-by-nc-sa-4.0",)),
    "cc-by-nc-sa-4.0": Terms(share_alike=True, non_commercial=True),
    "cc-by-nd-4.0": Terms(no_derivatives=True),
    "cc-by-nc-nd-3.0": Terms(non_commercial=True, no_derivatives=True),
    "cc-by-nc-nd-4.0": Terms(non_commercial=True, no_derivatives=True),
    "gemma": Terms(use_terms="https://ai.google.dev/gemma/terms"),
    "llama2": Terms(use_terms="https://ai.meta.com/llama/use-policy"),
    "openrail": Terms(use_terms="https://huggingface.co/blog/open_rail"),
    "openrail++": Terms(use_terms="https://huggingface.co/blog/open_rail"),
    "bigscience-openrail-m": Terms(use_terms="https://huggingface.co/blog/open_rail"),
    "bigscience-bloom-rail-1.0": Terms(use_terms="https://huggingface.co/blog/open_rail"),
}  # fmt: skip


@dataclass(frozen=True)
class Input:
    """Something a dataset is made from: its place in the recipe, and whether its words go in or its answers do."""

    path: tuple[str, ...]
    license: str
    kind: Literal["texts", "model"]

    @property
    def key(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True)
class Conflict:
    """What a licence asks and the result's licence does not give; or, as a warning, what only people can tell."""

    input: Input
    severity: Literal["error", "warning"]
    code: Literal["licence-conflict", "unknown-licence", "licence-reason"]
    message: str
    hint: str


def inputs(recipe: Recipe | MixRecipe) -> Iterator[Input]:
    """Sources, datasets, seed pairs and models with their licences, in the recipe's order."""
    if isinstance(recipe, MixRecipe):
        yield from _mixed(recipe)
        return
    for name, source in recipe.corpus.sources.items():
        yield Input(("corpus", "sources", name, "license"), source.license, "texts")
    for name in recipe.models:
        yield from _model(recipe, name)
    yield Input(("seed", "license"), recipe.seed.license, "texts")
    if recipe.generate.exemplars.seed is not None:
        yield Input(("generate", "exemplars", "seed", "license"), recipe.generate.exemplars.seed.license, "texts")
    learnt = recipe.generate.learn.seeds if isinstance(recipe.generate.learn, WriterFineTune) else {}
    rated = recipe.rating_set.seeds if recipe.rating_set is not None else {}
    for place, seeds in zip(SEEDS_PLACES, (learnt, rated), strict=True):
        for name, seed in seeds.items():
            # What a model learnt from is in no row; terms on its use are.
            yield Input((*place, name, "license"), seed.license, "model")


def _mixed(recipe: MixRecipe) -> Iterator[Input]:
    """Of the datasets that the chosen parts draw from, and of the models that translate them."""
    for name in recipe.used_datasets:
        dataset = recipe.datasets[name]
        yield Input(("datasets", name, "license"), dataset.license, "texts")
        for code, version in dataset.versions.items():
            if version.license is not None:
                yield Input(("datasets", name, "versions", code, "license"), version.license, "texts")
        model = recipe.translate[name].model if name in recipe.translate else None
        if model in recipe.models:
            yield from _model(recipe, model)


def _model(recipe: Recipe | MixRecipe, name: str) -> Iterator[Input]:
    model = recipe.models[name]
    yield Input(("models", name, "license"), model.license, "model")
    if not isinstance(model, ServerModel) and model.adapter is not None:
        yield Input(("models", name, "adapter", "license"), model.adapter.license, "model")


def conflicts(recipe: Recipe | MixRecipe) -> Iterator[Conflict]:
    """Where the licence of the result does not fit those of what it is made from.

    Share-alike binds texts that go into rows; what a model writes is no adaptation of its weights, so of models count
    only non-commercial terms and terms of use.
    """
    result = recipe.release.license
    for one in inputs(recipe):
        terms = TERMS.get(one.license)
        if terms is not None:
            yield from _against(one, terms, result, recipe.release.license_reason)
        elif not one.license.startswith(OTHER):
            message = f"`{one.key}` is `{one.license}`, a licence whose terms xirecipe does not know"
            hint = "use the Hub's identifier, or `other: ...` in words"
            yield Conflict(one, "warning", "unknown-licence", message, hint)
        elif recipe.release.license_reason is None:
            yield _needs_reason(one, f"`{one.key}` is a licence in words")


def _against(one: Input, terms: Terms, result: str, reason: str | None) -> Iterator[Conflict]:
    given = TERMS.get(result)

    def refused(why: str, hint: str) -> Conflict:
        message = f"`release.license` is `{result}`, but `{one.key}` is `{one.license}`: {why}"
        return Conflict(one, "error", "licence-conflict", message, hint)

    if one.kind == "texts" and terms.no_derivatives:
        yield refused("nothing changed may be passed on, under any licence", "use another source")
    elif terms.non_commercial and given is not None and not given.non_commercial:
        yield refused("no commercial use", "release under `cc-by-nc-4.0` or stricter, or use another one")
    elif one.kind == "texts" and terms.share_alike and given is not None:
        if result not in (one.license, *terms.compatible):
            fitting = " or ".join(f"`{name}`" for name in (one.license, *terms.compatible))
            yield refused("what is made from it needs the same licence", f"release under {fitting}")
    elif one.kind == "texts" and terms.attribution and given is not None and not given.attribution:
        message = f"`release.license` is `{result}`, which asks for no credit, but `{one.key}` is `{one.license}`"
        yield Conflict(one, "warning", "licence-reason", message, f"release under `{one.license}`, which keeps it")
    elif reason is None and (terms.use_terms or (given is None and (terms.non_commercial or terms.share_alike))):
        yield _needs_reason(one, f"`{one.key}` is `{one.license}`, which asks for {terms.sentence}")


def _needs_reason(one: Input, what: str) -> Conflict:
    hint = "say in `release.license_reason` why the result's licence is right"
    return Conflict(one, "warning", "licence-reason", what, hint)


def obligations(license_: str) -> str:
    """What a licence asks of the dataset's users, for a card."""
    if license_.startswith(OTHER):
        return "terms in words: read them"
    terms = TERMS.get(license_)
    return f"asks for {terms.sentence}" if terms is not None else "terms not known to xirecipe: read them"
