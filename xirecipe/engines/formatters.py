"""What changes a text: repair before the filters see it, masking of personal information after they have kept it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.formatters.base import BaseFormatter
from datatrove.pipeline.formatters.ftfy import FTFYFormatter
from datatrove.pipeline.formatters.pii import PIIFormatter

from xirecipe.recipe.corpus import Clean, PersonalInformation
from xirecipe.sentences import cut_at_sentence

#: What stands in a text where something was masked, by kind.
TOKENS = {"emails": "<email>", "ip_addresses": "<ip>", "phone_numbers": "<phone>"}
#: International numbers as E.164 has them: `+`, no leading zero, 9-15 digits, single separators or brackets between.
_PHONE = re.compile(r"(?<![\w+])\+(?!0)\d(?:(?:[ \u00a0.\-]?\(|\)[ \u00a0.\-]?|[ \u00a0.\-])?\d){8,14}(?!\d)")
_LINE_ENDS = re.compile(r"\r\n?")


class Normalize(BaseFormatter):
    """NFC, `\\n` as the only line end (the line rules count it), no white space around.

    Never NFKC: it takes Thai SARA AM apart and folds letters that are not the same.
    """

    name = "normalize"

    def format(self, text: str) -> str:
        return unicodedata.normalize("NFC", _LINE_ENDS.sub("\n", text)).strip()


class Mask(PIIFormatter):
    """datatrove's rules for emails and public IP addresses, and international phone numbers.

    Lays the number of replacements by kind into a document's metadata as `masked`.
    """

    name = "personal_information"

    def __init__(self, config: PersonalInformation) -> None:
        super().__init__(
            remove_emails=config.mask_emails,
            remove_ips=config.mask_ip_addresses,
            email_replacement=TOKENS["emails"],
            ip_replacement=TOKENS["ip_addresses"],
        )
        self.remove_phones = config.mask_phone_numbers

    def format(self, text: str) -> str:
        text = super().format(text)
        return _PHONE.sub(TOKENS["phone_numbers"], text) if self.remove_phones else text

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        for document in data:
            before, document.text = document.text, self.format(document.text)
            # Counted by difference: a text may hold `<email>` from the start.
            found = {kind: document.text.count(token) - before.count(token) for kind, token in TOKENS.items()}
            document.metadata["masked"] = Counter({kind: count for kind, count in found.items() if count})
            yield document


class Cut(PipelineStep):
    """Cuts a text that is longer than the window at a sentence end, and writes down how many characters went.

    Lays that number into a document's metadata as `cut_chars`.
    """

    type = "✂️ - FORMATTER"
    name = "cut"

    def __init__(self, max_chars: int | None, enders: str) -> None:
        super().__init__()
        self._max_chars, self._enders = max_chars, enders

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        for document in data:
            whole = len(document.text)
            document.text = cut_at_sentence(document.text, self._max_chars, self._enders)
            document.metadata["cut_chars"] = whole - len(document.text)
            yield document


def cleaners(config: Clean, enders: str) -> list[PipelineStep]:
    """The repairs a recipe asks for, in order."""
    return [*([_mojibake()] if config.fix_encoding else []), Normalize(), Cut(config.max_chars, enders)]


def _mojibake() -> FTFYFormatter:
    """ftfy for text decoded in the wrong encoding; nothing of its HTML, quotes, ligatures, widths and controls."""
    return FTFYFormatter(unescape_html=False, remove_terminal_escapes=False, remove_control_chars=False)
