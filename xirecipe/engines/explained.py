"""Why a document does not stay: verdicts, and the datatrove filters that only carry them out."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from xirecipe.engines.words import is_blank

#: Key in a document's metadata under which a verdict lies.
VERDICT = "verdict"


@dataclass(frozen=True)
class Verdict:
    """Why a document does not stay. `reason` is the dotted recipe key of the limit, or `read.*`."""

    reason: str
    value: float | None = None
    """What was measured."""
    threshold: float | None = None
    detail: str = ""


class Explained(BaseFilter):
    """A datatrove filter that lays a Verdict into the metadata of every document it drops."""

    @abstractmethod
    def verdict(self, document: Document) -> Verdict | None:
        """Why the document must go, or None when it stays."""

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        found = self.verdict(doc)
        if found is None:
            return True
        doc.metadata[VERDICT] = found
        return False, found.reason


class Readable(Explained):
    """Drops the rows for which the reader laid down why they are no documents."""

    name = "readable"

    def verdict(self, document: Document) -> Verdict | None:
        return document.metadata.get(VERDICT)


class Visible(Explained):
    """Drops documents in which nothing can be seen (`read.empty`)."""

    name = "visible"

    def verdict(self, document: Document) -> Verdict | None:
        return Verdict("read.empty", 0.0, None) if is_blank(document.text) else None
