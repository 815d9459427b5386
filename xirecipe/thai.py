"""Words of Thai, which writes no spaces between them: PyThaiNLP's dictionary segmenter newmm (Apache-2.0, words CC0).

FineWeb-2's numbers for Thai were made with it (datatrove's tokenizer for Thai). nlpo3, the same algorithm in Rust, is
four times as fast, but ships no dictionary and parts vowel marks from their letters in its safe mode.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import regex

from xirecipe.diagnostics import user_error
from xirecipe.fingerprint import file_digest

#: sha256 of the dictionary, words_th.txt, as pythainlp 5.4.0 carries it: another one splits other words.
SHA256 = "35f65d43ea83b5b981134d5edc3b9afcb64b4ba96146900fc4d312f2940c3265"
#: Letters and marks, with the repetition mark and the abbreviation sign; not digits, the baht sign and section marks.
LETTERS = r"\u0e01-\u0e3a\u0e40-\u0e4e"
_PIECE = regex.compile(rf"[{LETTERS}]+|[^{LETTERS}]+")
_FIRST = regex.compile(rf"[{LETTERS}]*")
_LAST = regex.compile(rf"(?r)[{LETTERS}]*")
_HINT = "install pythainlp==5.4.0"


def pieces(text: str) -> list[str]:
    """The text in pieces, in order and complete: runs of Thai letters, and whatever stands between them."""
    found: list[str] = _PIECE.findall(text)
    return found


def is_thai(piece: str) -> bool:
    """Whether a piece is a run of Thai letters."""
    return "\u0e01" <= piece[:1] <= "\u0e3a" or "\u0e40" <= piece[:1] <= "\u0e4e"


def first_run(text: str) -> str:
    """The Thai letters that the text begins with."""
    return str(_FIRST.match(text)[0])


def last_run(text: str) -> str:
    """The Thai letters that the text ends with."""
    return str(_LAST.match(text)[0])


def segment(run: str) -> list[str]:
    """The words of a run of Thai letters, in order and complete; what the dictionary lacks stays in one piece.

    About 1 ms for 1,000 characters; the first call reads the dictionary (0.4 s, 50 MB).
    Raises UserError when the dictionary is missing or is not the one known.
    """
    return _newmm()(run)


@cache
def _newmm() -> Callable[[str], list[str]]:
    path = _dictionary()
    if file_digest(path) != SHA256:
        raise user_error(
            "changed-dictionary", "the Thai word list of the installed pythainlp is not the known one", hint=_HINT
        )
    # Without this its import makes a folder `pythainlp-data` in the home directory. Both names at once are its error.
    if "PYTHAINLP_READ_MODE" not in os.environ:
        os.environ.setdefault("PYTHAINLP_READ_ONLY", "1")
    from pythainlp.tokenize.newmm import segment as newmm

    return newmm


def _dictionary() -> Path:
    spec = find_spec("pythainlp")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "corpus" / "words_th.txt"
        if path.is_file():
            return path
    raise user_error("missing-dictionary", "the Thai word list of pythainlp is not installed", hint=_HINT)
