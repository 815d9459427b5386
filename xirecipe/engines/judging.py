"""judge: candidates become questions, answers become scores; the evaluator is measured on the rating set."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from xirecipe.diagnostics import user_error
from xirecipe.engines.asking import Asked
from xirecipe.engines.calibration import measured
from xirecipe.engines.embeddings import BATCH, batches, similarities
from xirecipe.engines.tally import Tally
from xirecipe.models.requests import Answer, Failure, Request
from xirecipe.pairs import Exemplar, Rated
from xirecipe.questions import judge_requests
from xirecipe.rating import blank, examples, own_rows
from xirecipe.recipe.generation import Judge
from xirecipe.selecting import SCORE_COLUMNS
from xirecipe.stage import Stage
from xirecipe.tables import Row, count, read, write
from xirecipe.work import Outcome, Progress, Work


def run_judge(work: Work) -> Outcome:
    """Adds the configured scores. Drops nothing; a candidate whose rating never came is failed."""
    stage = work.stage
    source = work.inputs["generate"].data
    tally = Tally(work)
    judging = Judging(work, stage, tally)
    asked = judging.ask(lambda: read(source))
    tally.kept = write(work.output.data, judging.rated(read(source), asked, total=count(source)), stage.columns)
    tally.close()
    rows_in = count(source)
    return tally.outcome(rows_in, rows_in, judging.facts(asked))


#: Ratings after which a share of unparsable ones says something.
FEWEST_RATINGS = 20


class Judging:
    """One pass of the evaluator, with the examples its prompt shows: of the judge stage, or of a refining round."""

    def __init__(self, work: Work, stage: Stage, tally: Tally, best: Sequence[Exemplar] = ()) -> None:
        """`stage` is the plan's judge; `best` are a round's best candidates."""
        assert isinstance(stage.config, Judge)
        self._work, self._stage, self._config, self._tally = work, stage, stage.config, tally
        rating_set = stage.beside("rating_set")
        self._set: list[Row] = []
        if rating_set is not None:
            made = read(work.store.artifact("rating_set", rating_set.fingerprint).data)
            self._set = [blank(stage) | row for row in own_rows(stage, made)]
        rubric = stage.config.rubric
        shows = rubric is not None and stage.config.shows_examples
        self._examples: list[Rated] = examples(self._set, rubric, best) if rubric is not None and shows else []
        self._parsed = Counter[str]()
        self._unrated = Counter[str]()
        self.rated_before: set[tuple[str, int]] = set()
        """Document and draw of the candidates that kept the rating of the round before, because this one's failed."""

    def ask(self, rows: Any) -> Asked | None:
        """The model's answers about the rows of `rows()` and about the rating set. None when no model is asked."""
        if self._config.rubric is None and self._config.likelihood is None:
            return None
        everything = itertools.chain(rows(), self._set)
        return self._tally.ask(self._work, self._stage, (r for row in everything for r in self._requests(row).values()))

    def _requests(self, row: Row) -> dict[str, Request]:
        return judge_requests(self._stage, row, self._examples)

    def rated(self, rows: Iterable[Row], asked: Asked | None, total: int) -> Iterator[Row]:
        """Rows with their scores. Where a rating never came, an old candidate keeps the one it has from the round
        before (a round must cost no document its draft), and any other row goes to the tally."""
        done = 0
        for batch in batches(rows, BATCH):
            scored = self._scored(batch, asked)
            for row, (scores, failure) in zip(batch, scored, strict=True):
                if failure is None:
                    yield {**row, **scores}
                elif any(row.get(SCORE_COLUMNS[name]) is not None for name in ("rubric", "likelihood")):
                    self.rated_before.add((row["document_id"], row["draw"]))
                    self._unrated[failure[0]] += 1
                    yield row
                else:
                    self._tally.fail({**row, **scores}, *failure)
            done += len(batch)
            self._refuse_nonsense()
            if self._config.similarity is not None:
                self._work.report(Progress(done, total, "rows"))

    def _refuse_nonsense(self) -> None:
        """Raises UserError when too many ratings name no level: every row after them would be paid for nothing."""
        parsed = self._parsed.total()
        unparsable = self._parsed["unparsable"]
        if parsed >= FEWEST_RATINGS and unparsable > self._work.settings.max_failed_ratio * parsed:
            raise user_error(
                "unparsable-ratings",
                f"{self._work.stage.label}: {unparsable:,} of {parsed:,} ratings name no level of the rubric",
                hint="look at the prompt, or take a model that follows it; XIRECIPE_MAX_FAILED_RATIO allows more",
            )

    def _scored(
        self, rows: Sequence[Row], asked: Asked | None
    ) -> list[tuple[dict[str, float | None], tuple[str, str] | None]]:
        """(scores, failure as reason and detail) of each row."""
        empty: dict[str, float | None] = dict.fromkeys(SCORE_COLUMNS.values())
        found: list[tuple[dict[str, float | None], tuple[str, str] | None]] = []
        # A round's old candidates carry theirs: unlike a rating with examples, a cosine is the same every time.
        carried = (row.get("similarity") for row in rows)
        similar: list[float | None] = [known if isinstance(known, float) else None for known in carried]
        if self._config.similarity is not None:
            new = [i for i, known in enumerate(similar) if known is None]
            pairs = [(rows[i]["instruction"], rows[i]["text"]) for i in new]
            for i, cosine in zip(new, similarities(pairs, self._config.similarity), strict=True):
                similar[i] = cosine
        for row, similarity in zip(rows, similar, strict=True):
            scores, failure = dict(empty, similarity=similarity), None
            if asked is not None:
                answers = {role: asked.answer(request) for role, request in self._requests(row).items()}
                bad = next((a for a in answers.values() if isinstance(a, Failure)), None)
                good = {role: a for role, a in answers.items() if isinstance(a, Answer)}
                if bad is not None:
                    failure = (f"judge.{bad.reason}", bad.detail)
                else:
                    scores["likelihood_gain"] = likelihood_gain(good)
                    if self._config.rubric is not None:
                        scores["rubric_score"], how = rubric_score(good["rubric"], self._config.rubric.levels)
                        self._parsed[how] += 1
                        if scores["rubric_score"] is None:
                            failure = ("judge.unparsable_rating", good["rubric"].text[:200])
            found.append((scores, failure))
        return found

    def facts(self, asked: Asked | None) -> dict[str, Any]:
        """How ratings were read, and how good each of the scores is on the part of the rating set held out.

        `unrated` are ratings that never came and are no failed row's, by reason: of rated pairs and old candidates.
        """
        facts: dict[str, Any] = {"ratings": dict(self._parsed)} if self._parsed else {}
        unrated = self._unrated.copy()
        if self._set:
            scored = self._scored(self._set, asked)
            unrated.update(failure[0] for _, failure in scored if failure is not None)
            names = [name for name in SCORE_COLUMNS if getattr(self._config, name) is not None]
            facts["evaluators"] = {
                name: measured(
                    self._set, [scores[SCORE_COLUMNS[name]] for scores, _ in scored],
                    trained=self._stage.beside("train") is not None and name != "similarity",
                )
                for name in names
            }  # fmt: skip
        return facts | ({"unrated": dict(unrated)} if unrated else {})


def rubric_score(answer: Answer, levels: dict[str, float]) -> tuple[float | None, str]:
    """Mean level under the label probabilities; else the one label in the text; None for none or several."""
    if answer.label_log_probs:
        weights = {label: math.exp(p) for label, p in answer.label_log_probs.items() if label in levels}
        total = sum(weights.values())
        if total > 0:
            return sum(levels[label] * weight for label, weight in weights.items()) / total, "log_probabilities"
    # A word of its own: not the 1 of 10, of 1.5 or of 1/3.
    found = [n for n in levels if re.search(rf"(?<![\w.,/]){re.escape(n)}(?![\w/]|[.,]\d)", answer.text)]
    if len(found) == 1:
        return levels[found[0]], "text"
    return None, "unparsable"


def likelihood_gain(answers: dict[str, Answer]) -> float | None:
    """(log p(scored | the other) - log p(scored)) per token of what is scored, in nats."""
    given, alone = answers.get("given"), answers.get("alone")
    if given is None or alone is None or given.log_prob is None or alone.log_prob is None:
        return None
    return given.log_prob / max(1, given.scored_tokens) - alone.log_prob / max(1, alone.scored_tokens)
