"""decontaminate: candidates that repeat an evaluation prompt go, found by datatrove's n-gram decontamination."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.decont import NGramsDecontConfig, NGramsDecontFilter
from datatrove.utils.hashing import HashConfig, create_hash_func
from datatrove.utils.text import TextNormConfig, ngrams, simplify_text
from loguru import logger

from xirecipe.diagnostics import Diagnostic, UserError, user_error
from xirecipe.engines.readers import Unreadable
from xirecipe.engines.sources import HUB_HINT, HubUnreachable, opened
from xirecipe.engines.words import Words, words_of
from xirecipe.evaluation_prompts import MOST_PROBLEMS, prompts_in
from xirecipe.recipe.corpus import FileSource, HubSource
from xirecipe.recipe.decontamination import Decontaminate
from xirecipe.tables import Row, Writer, count, read, write
from xirecipe.work import Outcome, Progress, Work

#: Where a column of the recipe stands in a row.
_COLUMNS = {"instruction": "instruction", "response": "text"}
#: A prompt of fewer words is too common to be looked for inside a text.
WHOLE_WORDS = 4
_REPORT_EVERY = 500
# Not xxhash, datatrove's default: from its version 4 on it takes no strings, and datatrove hands it strings.
_HASH = HashConfig(precision=64, hash_fc="sha1")
# Lower case, no punctuation, every number 0. Marks stay: without its vowel signs a Thai or Hindi text is another text.
_NORM = TextNormConfig(norm_unicode_diacritics=False)


def run_decontaminate(work: Work) -> Outcome:
    """Drop candidates whose instruction or text shares a run of words with an evaluation prompt.

    The reason is `decontaminate.<evaluation>`, the detail the column and the shared run, as normalised for comparing.
    Raises UserError for an evaluation that is missing, empty or unreadable (codes of the corpus stage), or has a row
    without a prompt (`broken-evaluation`).
    """
    stage, config = work.stage, work.stage.config
    assert isinstance(config, Decontaminate)
    prompts = {name: read_prompts(name, source, stage.root) for name, source in config.evaluations.items()}
    engine = work.output.folder / "engine"
    overlaps = Overlaps(prompts, config.ngram_words, words_of(stage.language.words), engine)
    source = work.inputs[stage.inputs[0].kind].data
    total = count(source)
    reasons: Counter[str] = Counter()

    def kept(dropped: Writer) -> Iterator[Row]:
        for done, row in enumerate(read(source), start=1):
            found = ((column, overlaps.first(row[_COLUMNS[column]])) for column in config.columns)
            hit = next(((column, shared) for column, shared in found if shared is not None), None)
            if hit is None:
                yield row
            else:
                column, (evaluation, run) = hit
                reasons[reason := f"decontaminate.{evaluation}"] += 1
                dropped.add({**row, "reason": reason, "detail": f"{column}: {run}"})
            if done % _REPORT_EVERY == 0:
                work.report(Progress(done, total, "candidates"))

    with Writer(work.output.dropped, stage.columns, outcome=True) as dropped:
        stay = write(work.output.data, kept(dropped), stage.columns)
    shutil.rmtree(engine, ignore_errors=True)
    work.report(Progress(total, total, "candidates"))
    evaluations = {
        name: {"prompts": len(texts), "rows": reasons[f"decontaminate.{name}"]} for name, texts in prompts.items()
    }
    facts = {"evaluations": evaluations, "ngram_words": config.ngram_words, "columns": list(config.columns)}
    return Outcome(total, total, stay, dict(reasons), facts=facts)


class Overlaps:
    """Runs of words that texts share with prompts: one datatrove filter for each length of run."""

    def __init__(self, prompts: Mapping[str, Sequence[str]], ngram_words: int, words: Words, folder: Path) -> None:
        """Writes datatrove's index under `folder`: its own indexer reads nothing but lighteval's tasks."""
        logger.disable("datatrove")  # it says on stderr how many hashes it loads
        self._words = words
        self._order = {name: place for place, name in enumerate(prompts)}
        hashed = create_hash_func(_HASH)
        hashes: dict[int, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        for name, texts in prompts.items():
            for text in texts:
                split = self._split(text)
                length = min(ngram_words, len(split))
                if length:
                    hashes[length][name].update(hashed(" ".join(run)) for run in ngrams(split, length))
        self._filters: dict[int, NGramsDecontFilter] = {}
        for length, by_name in sorted(hashes.items(), reverse=True):
            index = folder / str(length)
            index.mkdir(parents=True, exist_ok=True)
            known: set[int] = set()
            for name, found in by_name.items():
                # What two evaluations share is the first one's; datatrove would give it to either.
                np.array(sorted(found - known), dtype=_HASH.np_descr).tofile(index / f"{name}.index.hashes")
                known |= found
            config = NGramsDecontConfig(n_grams=length, norm_config=_NORM, hash_config=_HASH)
            self._filters[length] = NGramsDecontFilter(str(index), config, language=words)
            self._filters[length].load_index_hashes()

    def first(self, text: str) -> tuple[str, str] | None:
        """The first evaluation, in the recipe's order, with which a text shares a run, and the run; or None."""
        hits: list[tuple[str, str]] = []
        for length, contaminated in self._filters.items():
            document = Document(text, "")
            if contaminated.filter(document) is True:
                continue
            run = document.metadata["contaminated_ngram"]
            if length >= WHOLE_WORDS or run == " ".join(self._split(text)):
                hits.append((document.metadata["contaminated_task"], run))
        return min(hits, key=lambda hit: self._order[hit[0]], default=None)

    def _split(self, text: str) -> list[str]:
        return self._words.word_tokenize(simplify_text(text, _NORM))


def read_prompts(name: str, source: FileSource | HubSource, root: Path) -> list[str]:
    """Every prompt of an evaluation; of a conversation each turn. Raises UserError where a row has none."""
    prompts: list[str] = []
    problems: list[Diagnostic] = []
    readers, shards = opened({name: source}, root, None)
    try:
        for shard in shards:
            for line, row in islice(readers[0].read_shard(shard), shard.rows):
                found = [] if isinstance(row, Unreadable) else prompts_in(row.get(source.text_column))
                prompts += found
                if not found:
                    why = f"{shard.file}:{line}: no prompt in `{source.text_column}`"
                    message = row.verdict.detail if isinstance(row, Unreadable) else why
                    problems.append(Diagnostic("broken-evaluation", f"evaluation `{name}`: {message}"))
    except HubUnreachable as error:
        raise user_error("hub-unreachable", f"reading evaluation `{name}` stopped: {error}", hint=HUB_HINT) from None
    if problems:
        raise UserError(problems[:MOST_PROBLEMS])
    return prompts
