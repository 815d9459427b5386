"""polish: page furniture goes from the ends of every document, and stands beside it in the row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from xirecipe.polishing import polish
from xirecipe.recipe.corpus import Polish
from xirecipe.tables import Row, count, read, write
from xirecipe.work import Outcome, Progress, Work

#: Documents between two progress reports.
_REPORT_EVERY = 1_000


def run_polish(work: Work) -> Outcome:
    """Shortens `text`; adds `removed_head` and `removed_tail`, so that head + text + tail is the text as it came in.

    Keeps every document, also one that has become shorter than `corpus.filters.length.min_chars`: that limit is for
    what was read, and a stage that only removes lines should not decide what a text is worth.
    """
    stage, config = work.stage, work.stage.config
    assert isinstance(config, Polish)
    source = work.inputs[stage.inputs[0].kind].data
    total = count(source)
    changed = 0
    lines, chars = Counter[str](), Counter[str]()

    def rows() -> Iterator[Row]:
        nonlocal changed
        for done, row in enumerate(read(source), start=1):
            found = polish(row["text"], config, stage.language.sentence_enders)
            changed += bool(found.cuts)
            for cut in found.cuts:
                lines[cut.rule] += 1
                chars[cut.rule] += cut.chars
            yield {**row, "text": found.text, "removed_head": found.head, "removed_tail": found.tail}
            if done % _REPORT_EVERY == 0:
                work.report(Progress(done, total, "documents"))

    kept = write(work.output.data, rows(), stage.columns)
    work.report(Progress(total, total, "documents"))
    by_rule = {rule: {"lines": lines[rule], "chars": chars[rule]} for rule in sorted(lines)}
    facts = {"changed_documents": changed, "removed_chars": chars.total(), "rules": by_rule}
    return Outcome(total, total, kept, facts=facts)
