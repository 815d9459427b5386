"""The dataset card of a mixing recipe: its own body, and the partials that all cards share."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from xirecipe.diagnostics import UserError
from xirecipe.hub.card import citation, environment
from xirecipe.hub.facts import EXAMPLE_SEED
from xirecipe.hub.limits import FEW_ROWS, FEW_TEST_ROWS
from xirecipe.hub.metadata import block, declared, info, license_fields, size_category, validate
from xirecipe.hub.mix_facts import MixFacts, collect
from xirecipe.hub.mix_rows import MIX_RELEASE_COLUMNS, configs_of, split_table, write_data
from xirecipe.hub.rows import Config, ReleaseData
from xirecipe.plan import MixPlan
from xirecipe.recipe.mixing import HubVersion
from xirecipe.store import Store

#: Tasks of the Hub that a mix can be for, by the shape of its rows.
_TASKS = {
    "monolingual": "text-generation", "cross_lingual": "text-generation", "translation": "translation",
    "contrastive": "sentence-similarity",
}  # fmt: skip


def render_card(plan: MixPlan, store: Store) -> str:
    """The card of a finished plan. Raises UserError: `not-finished`, or `card-metadata`."""
    facts = collect(plan, store)
    table = split_table(store.artifact("split", plan.stage("split").fingerprint))
    with TemporaryDirectory() as folder:
        data = write_data(table, Path(folder))
    return card_text(facts, data)


def card_text(facts: MixFacts, data: ReleaseData) -> str:
    """The card over facts and data files. Raises UserError `card-metadata` for what the Hub would refuse."""
    names = {file.config for file in data.files}
    configs = [config for config in configs_of_facts(facts) if config.name in names]
    values = metadata(facts, data, configs)
    problems = validate(values, facts.recipe.release.license)
    if problems:
        raise UserError(problems)
    body = environment().get_template("mix/dataset.md.j2").render(
        facts=facts, recipe=facts.recipe, data=data, configs=configs, columns=MIX_RELEASE_COLUMNS, limits=limits(facts),
        citation=citation(facts), example_seed=EXAMPLE_SEED,
    )  # fmt: skip
    return f"{block(values)}\n{body.strip()}\n"


def configs_of_facts(facts: MixFacts) -> tuple[Config, ...]:
    """The configs that the chosen parts declare, `default` first."""
    return configs_of({part.config: part.shape == "contrastive" for part in facts.parts})


def metadata(facts: MixFacts, data: ReleaseData, configs: list[Config]) -> dict[str, Any]:
    """The metadata as plain data, in the order it is written."""
    recipe = facts.recipe
    languages = list(dict.fromkeys(language.hub_code for language in facts.spoken))
    versions = [version for name in recipe.used_datasets for version in recipe.datasets[name].versions.values()]
    repositories = sorted({version.repository for version in versions if isinstance(version, HubVersion)})
    local = [] if all(isinstance(version, HubVersion) for version in versions) else ["original"]
    return {
        "pretty_name": " ".join(recipe.card.title.split()),
        "language": languages,
        **license_fields(recipe.release.license),
        "task_categories": sorted({_TASKS[part.shape] for part in facts.parts}),
        "multilinguality": [_multilinguality(facts, languages)],
        "size_categories": [size_category(data.rows())],
        "annotations_creators": ["found"],
        "language_creators": ["found", *(["machine-generated"] if facts.models else [])],
        "source_datasets": repositories + local,
        "tags": ["instruction-tuning", "cross-lingual", "xirecipe"],
        "configs": [declared(config, data) for config in configs],
        "dataset_info": [info(config, data) for config in configs],
        "xirecipe": {
            "version": recipe.version,
            "recipe_sha256": facts.recipe_sha256,
            "rows_sha256": data.rows_sha256,
            "tool": facts.tool,
            "profile": facts.profile or None,
        },
    }


def _multilinguality(facts: MixFacts, languages: list[str]) -> str:
    if len(languages) == 1:
        return "monolingual"
    return (
        "translation" if all(part.shape in ("translation", "contrastive") for part in facts.parts) else "multilingual"
    )


def limits(facts: MixFacts) -> list[str]:
    """Limits that follow from the facts, one sentence each."""
    found = []
    translators = sorted({model.id for model in facts.models})
    if translators:
        found.append(f"Rows marked `translated` were translated by {', '.join(translators)}; no person has read them.")
    if facts.rows < FEW_ROWS:
        found.append(f"Only {facts.rows:,} rows.")
    for split in facts.splits:
        if split.name == "test" and split.rows < FEW_TEST_ROWS:
            found.append(f"What is measured on the test split has wide errors: its rows are {split.rows:,}.")
    found.append("The rows are other datasets' rows: their errors, and what their makers left out, are here as well.")
    if facts.limit is not None:
        found.append(f"The run was limited to {facts.limit:,} rows of each dataset.")
    return found
