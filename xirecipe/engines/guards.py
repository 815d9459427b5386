"""Guards on a written instruction: what makes it unusable whatever a judge would say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import regex

from xirecipe import thai
from xirecipe.engines.language_id import score
from xirecipe.recipe.generation import Guards

# Marks are part of a word: `\w` alone would take the words of Indian scripts and Thai apart at every vowel sign.
_RUN = r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*"
_WORD = regex.compile(rf"{_RUN}(?:['’]{_RUN})*")

# Work on an input that the row does not contain, X-Instruction's known defect (arXiv 2405.19744, section on quality):
# "translate the article", "summarize the text above", "what does the passage say?". Written and judged on the sentences
# of tests/engines/test_guards.py; what a rule must let through stands beside it there.
_THING = (
    r"(?:text|article|passage|paragraph|document|story|stories|sentence|news|report|excerpt|essay|letter|post|poem|speech"
    r"|conversation|dialogue|content|review|message|comment|table|data|information)s?"
)
_WORK = (
    r"(?:translat\w+|summari[sz]\w+|paraphras\w+|rewrit\w+|rephras\w+|correct|proofread|edit|shorten|continue|classify|"
    r"read|complete|analy[sz]e|extract|convert)"
)
_SAYS = r"(?:says?|said|means?|describes?|teach(?:es)?|mentions?|explains?|tells?|argues?|about)"
_MISSING_INPUT = tuple(
    re.compile(rule, re.IGNORECASE)
    for rule in (
        # Always about an input: "translate ...", "summarize this". "Summarize the history of Zanzibar" is a request.
        r"^\s*(?:(?:please|kindly|(?:can|could|would) you)\s+)*(?:translate|paraphrase|proofread|rephrase)\b",
        r"^\s*(?:(?:please|kindly|(?:can|could|would) you)\s+)*summari[sz]e\s+(?:this|that|it|these)\b",
        # Pointing at something: "the following sentence", "the text above", "this story", "the above".
        rf"\b(?:following|above|below|provided|given)\s+(?:\w+\s+)?{_THING}\b",
        rf"\b{_THING}\s+(?:above|below|provided|given)\b",
        rf"\b(?:this|these)\s+(?:\w+\s+)?{_THING}\b",
        r"\bthe\s+above\b|\bthe\s+following\s*(?:[.:?!]|$|(?:into|to|in)\b)",
        # Working on it: "correct the grammar in the essay"; not "how to correct the essay", which asks for advice.
        rf"^(?!.*\b(?:how|why|when|tips|advice|ways|steps|guide)\b).*\b{_WORK}\b(?:\s+\w+){{0,3}}?\s+(?:the|my|your|that|those)"
        rf"(?:\s+\w+){{0,2}}?\s+{_THING}\b(?!\s+(?:of|about)\b)",
        rf"\b(?:in|from|of|on|about|to|using)\s+the\s+(?!news\b){_THING}\s*[.?!]?\s*$",
        # Leaning on it: "according to the article", "what does the story teach?", "the author's opinion".
        rf"\b(?:based\s+on|according\s+to)\s+(?:the|that|your)\s+(?:\w+\s+)?{_THING}\b(?!\s+(?:of|about|by|\d))",
        rf"\bdoes\s+the\s+(?!news\b){_THING}\s+{_SAYS}\b",
        rf"\bwhat\s+the\s+(?!news\b){_THING}\s+{_SAYS}\b",
        r"\bthe\s+(?:text|passage|excerpt|paragraph|author|narrator)(?:'s|’s)?\b(?!\s+(?:of|from|on|to)\b)",
    )
)

Verdict = tuple[str, float | None, float | None, str | None]


def clean_instruction(answer: str) -> str:
    """The instruction in a model's answer, NFC: its first line with text, without label, quotes or list marks."""
    lines = (line.strip() for line in unicodedata.normalize("NFC", answer).splitlines())
    line = next((line for line in lines if line), "")
    line = re.sub(r"^(?:[-*•#>]+\s*|\d+[.)]\s+)", "", line)
    line = re.sub(r"^(?:instruction|question|prompt)\s*:\s*", "", line, flags=re.IGNORECASE)
    if len(line) > 1 and (line[0], line[-1]) in {('"', '"'), ("“", "”"), ("'", "'"), ("`", "`")}:
        line = line[1:-1]
    return " ".join(line.split())


class Guard:
    """Checks instructions one by one against the guards of a recipe."""

    def __init__(self, guards: Guards, exemplar_instructions: Sequence[str]) -> None:
        self._guards = guards
        self._exemplars = [(text, frozenset(_words(text))) for text in exemplar_instructions]

    def check(self, instruction: str, text: str) -> Verdict | None:
        """(reason, value, threshold, detail) of the first guard that objects; None when the instruction is usable."""
        guards = self._guards
        words = _words(instruction)
        if not words:
            return "guards.empty", 0.0, 1.0, None
        if guards.min_words is not None and len(words) < guards.min_words:
            return "guards.min_words", float(len(words)), float(guards.min_words), None
        if guards.max_words is not None and len(words) > guards.max_words:
            return "guards.max_words", float(len(words)), float(guards.max_words), None
        if guards.max_exemplar_similarity is not None:
            value, nearest = self._nearest(words)
            if value > guards.max_exemplar_similarity:
                return "guards.max_exemplar_similarity", value, guards.max_exemplar_similarity, nearest
        if guards.max_leaked_words is not None:
            run = _longest_shared_run(words, _words(text))
            if run > guards.max_leaked_words:
                return "guards.max_leaked_words", float(run), float(guards.max_leaked_words), None
        if guards.missing_input:
            found = next((match for rule in _MISSING_INPUT if (match := rule.search(instruction))), None)
            if found:
                return "guards.missing_input", None, None, found.group(0)
        if guards.min_english_score is not None:
            best, best_score, english = score(instruction, ("en",))
            if english < guards.min_english_score:
                return "guards.min_english_score", english, guards.min_english_score, f"{best} {best_score:.2f}"
        return None

    def _nearest(self, words: list[str]) -> tuple[float, str | None]:
        own = frozenset(words)
        similar = [(len(own & other) / len(own | other), text) for text, other in self._exemplars]
        return max(similar, default=(0.0, None))


def _words(text: str) -> list[str]:
    """Words in small letters. Thai ones by dictionary, so that a name copied out of a Thai text is found in it."""
    return [
        word
        for run in _WORD.findall(text.lower())
        for piece in thai.pieces(run)
        for word in (thai.segment(piece) if thai.is_thai(piece) else (piece,))
    ]


def _longest_shared_run(left: list[str], right: list[str]) -> int:
    """Length in words of the longest run that stands in both."""
    best = 0
    previous = [0] * (len(right) + 1)
    for word in left:
        current = [0] * (len(right) + 1)
        for j, other in enumerate(right, 1):
            if word == other:
                current[j] = previous[j - 1] + 1
                best = max(best, current[j])
        previous = current
    return best
