"""The metadata block of a card: what the Hub and `datasets` read, and its validation without the Hub."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa

from xirecipe.diagnostics import Diagnostic, did_you_mean
from xirecipe.hub.facts import CardFacts
from xirecipe.hub.rows import CONFIG, CONFIGS, Config, ReleaseData
from xirecipe.recipe.corpus import HubSource

#: Licence identifiers of the Hub: the table in its documentation, docs/hub/repositories-licenses.md of
#: github.com/huggingface/hub-docs at commit 008d54d.
HUB_LICENSES = frozenset({
    "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m",
    "bigscience-bloom-rail-1.0", "bigcode-openrail-m", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd",
    "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "c-uda", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5",
    "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0",
    "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0",
    "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0",
    "etalab-2.0", "eupl-1.1", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0",
    "isc", "lppl-1.3c", "ms-pl", "mpl-2.0", "odc-by", "odbl", "openrail++", "osl-3.0", "postgresql", "ofl-1.1",
    "ncsa", "unlicense", "zlib", "pddl", "lgpl-lr", "deepfloyd-if-license", "llama2", "gemma", "unknown", "other",
})  # fmt: skip
#: Tasks a text dataset of ours can be for: of the Hub's list (github.com/huggingface/huggingface.js, packages/tasks).
HUB_TASKS = frozenset({"text-generation", "question-answering", "translation", "summarization", "sentence-similarity"})
TAGS = ("synthetic", "distilabel", "datatrove", "xirecipe", "low-resource")

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_SPLIT = re.compile(r"^\w+(\.\w+)*$")
_CODE = "card-metadata"


def metadata(facts: CardFacts, data: ReleaseData) -> dict[str, Any]:
    """The metadata as plain data, in the order it is written. Sizes are those of the parquet files in `data`."""
    languages = list(dict.fromkeys([facts.language.hub_code, "en"]))
    sources = facts.recipe.corpus.sources.values()
    repositories = sorted({source.repository for source in sources if isinstance(source, HubSource)})
    local = [] if all(isinstance(source, HubSource) for source in sources) else ["original"]
    return {
        "pretty_name": " ".join(facts.recipe.card.title.split()),
        "language": languages,
        "language_details": facts.language.code.replace("_", "-"),
        **license_fields(facts.recipe.release.license),
        "task_categories": ["text-generation"],
        "multilinguality": ["monolingual" if len(languages) == 1 else "multilingual"],
        "size_categories": [size_category(data.rows())],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["found", "machine-generated"],
        "source_datasets": repositories + local,
        "tags": list(TAGS),
        "configs": [declared(config, data) for config in CONFIGS],
        "dataset_info": [info(config, data) for config in CONFIGS],
        "xirecipe": {
            "version": facts.recipe.version,
            "recipe_sha256": facts.recipe_sha256,
            "rows_sha256": data.rows_sha256,
            "tool": facts.tool,
            "profile": facts.profile or None,
        },
    }


def declared(config: Config, data: ReleaseData) -> dict[str, Any]:
    """Where the files of a config lie."""
    files = [{"split": split, "path": config.pattern(split)} for split in data.splits_of(config.name)]
    return {"config_name": config.name, **({"default": True} if config.name == CONFIG else {}), "data_files": files}


def info(config: Config, data: ReleaseData) -> dict[str, Any]:
    """Columns and sizes of a config. `datasets` holds what it loads against both."""
    return {
        "config_name": config.name,
        "features": [_feature(field) for field in config.arrow],
        "splits": [
            {
                "name": split,
                "num_bytes": sum(file.num_bytes for file in data.of(config.name, split)),
                "num_examples": data.rows(split, config.name),
            }
            for split in data.splits_of(config.name)
        ],
        "download_size": sum(file.size for file in data.of(config.name)),
        "dataset_size": sum(file.num_bytes for file in data.of(config.name)),
    }


def block(values: dict[str, Any]) -> str:
    """The block with its fences, as it stands at the head of a README."""
    # Imported here: half a second that only a finished dataset has to pay.
    from huggingface_hub import DatasetCardData

    return f"---\n{DatasetCardData(**values).to_yaml()}\n---\n"


def size_category(rows: int) -> str:
    """The Hub's category; its bounds are upper ones."""
    return next((name for bound, name in _SIZES if rows < bound), "10M<n<100M")


def license_fields(license_: str) -> dict[str, str]:
    if license_ in HUB_LICENSES - {"other"}:
        return {"license": license_}
    words = license_.removeprefix("other").lstrip(": ")
    name = re.sub(r"[^a-z0-9.]+", "-", words.lower()).strip("-.") or "unnamed"
    # Points at the card, whose last section says the terms: the Hub wants a link for every licence it does not know.
    return {"license": "other", "license_name": name, "license_link": "README.md"}


def _feature(field: pa.Field) -> dict[str, Any]:
    """A column in the words of `datasets`."""
    if pa.types.is_list(field.type):
        return {"name": field.name, "list": [_feature(inner) for inner in field.type.value_type]}
    return {"name": field.name, "dtype": str(field.type).replace("double", "float64")}


def validate(values: dict[str, Any], license_: str) -> list[Diagnostic]:
    """What the Hub would refuse, found without it. `license_` is the recipe's own word for the licence.

    Languages, creators, sizes and multilinguality are checked against the lists in the installed `datasets`.
    """
    creators = _resource("creators")
    found = [
        *_unknown("language", values["language"], _resource("languages")),
        *_unknown("size_categories", values["size_categories"], _resource("size_categories")),
        *_unknown("multilinguality", values["multilinguality"], _resource("multilingualities")),
        *_unknown("annotations_creators", values["annotations_creators"], creators["annotations"]),
        *_unknown("language_creators", values["language_creators"], creators["language"]),
        *_unknown("task_categories", values["task_categories"], HUB_TASKS),
    ]
    if license_ not in HUB_LICENSES and not license_.startswith("other:"):
        hint = did_you_mean(license_, HUB_LICENSES) or "a Hub licence name, or `other: ...` in words"
        found.append(Diagnostic(_CODE, f"`release.license`: the Hub has no licence `{license_}`", None, hint))
    if license_ == "other":
        found.append(Diagnostic(_CODE, "`release.license` is `other`", None, "say which: `other: name of the licence`"))
    if not values["pretty_name"]:
        found.append(Diagnostic(_CODE, "`card.title` is empty", None, "the dataset's name, for people"))
    names = dict.fromkeys(entry["split"] for config in values["configs"] for entry in config["data_files"])
    found += [Diagnostic(_CODE, f"`{name}` cannot name a split") for name in names if not _SPLIT.match(name)]
    return found


def _unknown(key: str, values: list[str], known: Any) -> list[Diagnostic]:
    return [
        Diagnostic(_CODE, f"`{key}`: the Hub does not know `{value}`", None, did_you_mean(value, known))
        for value in values
        if value not in known
    ]


@cache
def _resource(name: str) -> Any:
    """A list that ships in `datasets`, read without importing it, which would take seconds."""
    package = find_spec("datasets")
    if package is None or package.origin is None:
        raise AssertionError("datasets is a dependency of xirecipe but is not installed")
    path = Path(package.origin).parent / "utils" / "resources" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))
