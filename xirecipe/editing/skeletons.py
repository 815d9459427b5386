"""Files to begin a language with: what is known is filled in, and what only its author can say is left empty."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

#: Pairs that a new seed has room for; a rating set is made of at least so many.
SEED_PAIRS = 4


@dataclass(frozen=True)
class Known:
    """What tables say of a language. None where they say nothing."""

    code: str
    name: str | None
    hub_code: str | None
    lid_label: str | None
    direction: str
    in_fineweb: bool
    """Whether FineWeb-2 was made with this language and script in mind."""


def recipe_text(known: Known, name: str, title: str, base: str, base_data: dict[str, Any]) -> str:
    """A recipe over a base. Its empty values are what `check` then asks for, each at its line."""
    shown = known.name or known.code
    lines = [
        f"# A cross-lingual instruction dataset for {shown}: English instructions, natural {shown} texts as responses.",
        f"extends: {base}",
        f"name: {name}",
        "version: 1.0.0-dev            # `xirecipe bump --freeze` drops -dev; frozen data may not change",
        f"language: {known.code}            # facts come from languages/{known.code}.yaml",
        *_sources(known, base_data),
        "",
        "seed:",
        f"  path: sample/{known.code}.seed.jsonl",
        "  license:                    # of the pairs, such as cc0-1.0",
        "",
        "card:                         # your words: no phrase is true of every dataset",
        f"  title: {title}",
        f"  summary: English instructions with natural {shown} texts as their responses.",
        "  uses:                       # what the dataset is for",
        "  not_for:                    # what it must not be used for",
        "  biases:                     # whose texts these are, and whose are missing",
    ]
    sources = _slots(base_data)
    if isinstance(base_data.get("profiles"), dict) and "sample" in base_data["profiles"]:
        slot = next(iter(sources), "web")
        lines += [
            "",
            "profiles:",
            "  sample:                     # a small corpus of your own, so that a run takes minutes and no GPU",
            "    corpus:",
            "      sources:",
            f"        {slot}: {{format: jsonl, path: sample/{known.code}.jsonl, license: cc0-1.0}}",
        ]
    return "\n".join(lines) + "\n"


def _slots(base: dict[str, Any]) -> dict[str, Any]:
    corpus = base.get("corpus")
    found = corpus.get("sources") if isinstance(corpus, dict) else None
    return found if isinstance(found, dict) else {}


def _sources(known: Known, base: dict[str, Any]) -> list[str]:
    """The language's part of each Hub source that the base leaves open; a source to fill in where it has none."""
    slots = _slots(base)
    if not slots:
        return [
            "", "corpus:", "  sources:", "    web:", "      format: jsonl",
            "      path:                   # a file of texts, or a folder of such files",
            "      license:                # of the texts",
        ]  # fmt: skip
    lines = []
    for slot, source in slots.items():
        if not isinstance(source, dict) or source.get("format") != "hub" or "files" in source:
            continue
        value, note = "", "parquet files in the repository, as a glob"
        if str(source.get("repository", "")).endswith("/fineweb-2"):
            value = f"data/{known.code}/train/*.parquet"
            note = "" if known.in_fineweb else "look whether FineWeb-2 has this language"
        line = f"    {slot}: {{files: {value}}}" if value else f"    {slot}:\n      files:"
        lines.append(f"{line}        # {note}" if note else line)
    return ["", "corpus:", "  sources:", *lines] if lines else []


def language_text(known: Known) -> str:
    """A language file: facts from tables, and a place with a note for each that has to be found out."""
    name = known.name or known.code
    label = f"[{known.lid_label}]" if known.lid_label else ""
    unknown = (
        "# lid.176's label of the language; neighbours too, if short texts are taken for them"
        if known.lid_label
        else f"# lid.176 has no {name}: the labels that its texts get, and `language: null` under filters"
    )
    source = (
        f"FineWeb-2, configs/{known.code}.yml in github.com/huggingface/fineweb-2"
        if known.in_fineweb
        else "another language of its family in FineWeb-2, until they are measured"
    )
    lines = [
        f"# Facts about {name}.",
        f"code: {known.code}",
        f"name: {known.name or ''}".rstrip() + ("" if known.name else "                         # in English"),
        "native_name:                  # as its speakers write it",
        f"hub_code: {known.hub_code}" if known.hub_code else "hub_code:                     # ISO 639-1, or else 639-3",
        *(["direction: rtl"] if known.direction == "rtl" else []),
        f"lid_labels: {label}".rstrip().ljust(30) + unknown,
        "words: unicode                # `thai` looks words up, where they are written without spaces",
        'sentence_enders: ".!?…"       # what ends a sentence in its script',
        "filters:",
        "  language:",
        "    min_score:                # measure it: what lid.176 gives clean texts differs from language to language",
        f"  # Thresholds and stop words: {source}.",
        "  # gopher_quality:",
        "  #   min_mean_word_chars:",
        "  #   max_mean_word_chars:",
        "  #   min_alpha_words_ratio:",
        "  #   min_stop_words: 2",
        "  #   stop_words: []",
        "  # gopher_repetition: ...",
        "  # fineweb_quality: ...",
        "sources:                      # where each number above comes from, a sentence each",
    ]
    return "\n".join(lines) + "\n"


def seed_text() -> str:
    """Room for pairs: an English instruction and a response in the language, both written by people."""
    return "".join(
        json.dumps({"id": str(number), "instruction": "", "response": ""}) + "\n" for number in range(1, SEED_PAIRS + 1)
    )
