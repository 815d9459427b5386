"""translate: rows of one language become rows of others, and those that do not come back as they went are dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from xirecipe.engines.asking import Asked
from xirecipe.engines.tally import Tally
from xirecipe.models.requests import Failure
from xirecipe.questions import TRANSLATED, back_requests, translate_requests
from xirecipe.recipe.mixing import RoundTrip, Translate
from xirecipe.stage import Stage
from xirecipe.tables import Row, count, read, write
from xirecipe.work import Outcome, Work

#: A translation without text, and one that the limit of tokens cut off.
EMPTY, CUT = "translate.empty", "translate.cut"
#: What the score and the similarity of a translation must reach: their keys in the recipe.
LANGUAGE, ROUND_TRIP, SOURCE = "min_language_score", "round_trip.min_similarity", "max_source_language_score"
#: Shorter texts are names and numbers as often as not, which are the same in both languages.
SHORTEST_CHARS = 20


@dataclass(frozen=True)
class Translated:
    """A row in another language, its fields in order, and the row that it came from."""

    row: Row
    original: Row


def run_translate(work: Work) -> Outcome:
    """All rows as they are, and for each of the source language a row in every other that passes the checks."""
    stage, config = work.stage, work.stage.config
    assert isinstance(config, Translate)
    source = work.inputs[stage.inputs[0].slot].data
    tally = Tally(work)

    def originals() -> Iterator[Row]:
        return (row for row in read(source) if row["language"] == config.from_language)

    asked = tally.ask(work, stage, (request for _, _, request in translate_requests(stage, originals())))
    made = list(_answered(stage, originals(), asked, tally))
    if config.round_trip is not None:
        made = _returned(work, stage, config.round_trip, made, tally)
    rows_in = count(source)
    tally.kept = write(work.output.data, (*read(source), *(each.row for each in made)), stage.columns)
    tally.close()
    wanted = sum(1 for _ in originals()) * len(config.into)
    facts = {"translated": {code: sum(each.row["language"] == code for each in made) for code in config.into}}
    return tally.outcome(rows_in, rows_in + wanted, facts)


def _answered(stage: Stage, originals: Iterable[Row], asked: Asked, tally: Tally) -> Iterator[Translated]:
    """Translations that are there whole and in their language; the others go to `tally`."""
    config = stage.config
    assert isinstance(config, Translate)
    for (_, code), group in groupby(
        translate_requests(stage, originals), key=lambda item: (item[0]["document_id"], item[1].language)
    ):
        items = list(group)
        original = items[0][0]
        row = {**original, "language": code, "made": "translated", **dict.fromkeys(TRANSLATED, "")}
        reason = detail = None
        for _, field, request in items:
            answer = asked.answer(request)
            if isinstance(answer, Failure):
                tally.fail(row, f"translate.{answer.reason}", answer.detail)
                break
            row[field.name] = answer.text.strip()
            if not row[field.name]:
                reason, detail = EMPTY, f"no text for its {field.name}"
            elif answer.finish_reason == "length":
                reason, detail = CUT, f"its {field.name} is longer than `sampling.max_tokens`"
        else:
            lost = (reason, None, None, detail) if reason else _wrong_language(stage, config, row)
            if lost is None:
                yield Translated(row, original)
            else:
                tally.drop(row, *lost)


def _wrong_language(stage: Stage, config: Translate, row: Row) -> tuple[str, float, float, str] | None:
    """Reason, value, threshold and detail of a translation that is not in its language; None of one that is."""
    from xirecipe.engines.language_id import score

    if config.min_language_score is not None:
        best, _, value = score(whole(row), stage.languages[row["language"]].lid_labels)
        if value < config.min_language_score:
            return LANGUAGE, value, config.min_language_score, f"looks like {best}"
    if config.max_source_language_score is not None:
        source = stage.languages[config.from_language]
        for name in TRANSLATED:
            value = score(row[name], source.lid_labels)[2] if len(row[name]) >= SHORTEST_CHARS else 0.0
            if value > config.max_source_language_score:
                return SOURCE, value, config.max_source_language_score, f"its {name} is in {source.name} still"
    return None


def _returned(work: Work, stage: Stage, config: RoundTrip, made: list[Translated], tally: Tally) -> list[Translated]:
    """Translations that come back, translated again, as what they were."""
    from xirecipe.engines.embeddings import embed

    rows = [each.row for each in made]
    asked = tally.ask(work, stage, (request for _, _, request in back_requests(stage, rows)))
    back: dict[int, Row] = {}
    for index, row in enumerate(rows):
        found: Row = dict.fromkeys(TRANSLATED, "")
        for _, field, request in back_requests(stage, [row]):
            answer = asked.answer(request)
            if isinstance(answer, Failure):
                tally.fail(row, f"translate.{answer.reason}", answer.detail)
                break
            found[field.name] = answer.text.strip()
        else:
            back[index] = found
    if not back:
        return []
    # A row is as good as its worst field: a lost answer must not hide behind a long question.
    pairs = [(i, name, made[i].original[name], back[i][name]) for i in back for name in TRANSLATED]
    pairs = [pair for pair in pairs if pair[2] or pair[3]]
    vectors = embed([text for _, _, *both in pairs for text in both], config.embedding)
    worst: dict[int, tuple[float, str]] = {}
    for place, (index, name, _, _) in enumerate(pairs):
        similarity = float(vectors[2 * place] @ vectors[2 * place + 1])
        worst[index] = min((similarity, name), worst.get(index, (similarity, name)))
    kept: list[Translated] = []
    for index, (similarity, name) in worst.items():
        if similarity >= config.min_similarity:
            kept.append(made[index])
        else:
            detail = f"its {name} came back as: {back[index][name][:200]}"
            tally.drop(made[index].row, ROUND_TRIP, similarity, config.min_similarity, detail)
    return kept


def whole(row: Row) -> str:
    """A row's texts as one."""
    return "\n".join(row[name] for name in TRANSLATED if row[name])
