"""`corpus:`, `dedup:` and `polish:` of a recipe: where documents come from and which of them stay."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from xirecipe.recipe.base import PositiveInt, Ratio, Revision, Section


class SourceFacts(Section):
    """What every source says about itself, beside where it is."""

    license: str
    """Licence of the texts, as the Hub names it (`cc0-1.0`, `odc-by`), or `other: ...` in words."""
    text_column: str = "text"
    id_column: str = "id"
    url_column: str = "url"


class FileSource(SourceFacts):
    """Local files. Their content is hashed into the plan; where they lie is not."""

    format: Literal["jsonl", "parquet", "csv"]
    path: str
    """A file, or a folder whose files are all read. Relative to the recipe's folder."""
    documents: PositiveInt | None = None
    """How many to read, in file order. All when not given."""


class HubSource(SourceFacts):
    """A dataset repository on the Hugging Face Hub, at a pinned commit."""

    format: Literal["hub"]
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: Revision
    """The commit hash. A branch name moves, and rows with it."""
    files: str = Field(min_length=1)
    """Parquet or JSON Lines files to read inside the repository, as a glob: `data/swh_Latn/train/*.parquet`."""
    documents: PositiveInt | None = None
    """How many to read, in file order. All when not given."""


Source = Annotated[FileSource | HubSource, Field(discriminator="format")]


class LanguageFilter(Section):
    """Keeps documents whose best label is the recipe's language, by lid.176 (Joulin et al. 2016, arXiv 1607.01759)."""

    min_score: Ratio = 0.5
    max_other_ratio: Ratio | None = None
    """Share of a text, in windows of 200 characters, that is clearly (0.6) in other languages: half an English page
    passes as a whole. At 0.34 it takes 2 of 6,216 clean passages of ten languages (benchmarks/keep_rates.py's data)."""


class LengthFilter(Section):
    """Keeps documents by length in characters (Unicode code points) after cleaning."""

    min_chars: PositiveInt = 1
    max_chars: PositiveInt | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_chars is not None and self.min_chars > self.max_chars:
            raise ValueError(f"min_chars ({self.min_chars}) is greater than max_chars ({self.max_chars})")
        return self


class GopherQualityFilter(Section):
    """Gopher's quality rules (Rae et al. 2021, arXiv 2112.11446, table A1) through datatrove. Unset rules are off."""

    min_words: PositiveInt | None = 50
    max_words: PositiveInt | None = None
    min_mean_word_chars: float | None = Field(None, gt=0)
    max_mean_word_chars: float | None = Field(None, gt=0)
    max_symbol_word_ratio: Ratio | None = 0.1
    max_bullet_lines_ratio: Ratio | None = 0.9
    max_ellipsis_lines_ratio: Ratio | None = 0.3
    min_alpha_words_ratio: Ratio | None = None
    min_stop_words: PositiveInt | None = 2
    stop_words: tuple[str, ...] = Field((), strict=False)
    """Matched after NFC and lower-casing on both sides."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_words and self.max_words and self.min_words > self.max_words:
            raise ValueError(f"min_words ({self.min_words}) is greater than max_words ({self.max_words})")
        low, high = self.min_mean_word_chars, self.max_mean_word_chars
        if low and high and low > high:
            raise ValueError(f"min_mean_word_chars ({low}) is greater than max_mean_word_chars ({high})")
        return self


class NgramLimit(Section):
    """The largest share of a text's characters that n-grams of `words` words may take."""

    words: PositiveInt
    max_chars_ratio: Ratio


class GopherRepetitionFilter(Section):
    """Gopher's repetition rules (arXiv 2112.11446, table A1) through datatrove; numbers per language."""

    max_dup_lines_ratio: Ratio | None = None
    top_ngrams: tuple[NgramLimit, ...] = Field((), strict=False)
    """The most frequent n-gram's share of the characters."""
    dup_ngrams: tuple[NgramLimit, ...] = Field((), strict=False)
    """The share of characters inside n-grams that occur before."""


class FineWebQualityFilter(Section):
    """FineWeb's line rules (Penedo et al. 2024, arXiv 2406.17557) through datatrove, with FineWeb-2's numbers."""

    min_punctuated_lines_ratio: Ratio | None = None
    max_dup_line_chars_ratio: Ratio | None = None
    max_new_lines_per_word: float | None = Field(None, ge=0)


class Filters(Section):
    """The filters of a corpus. One that is not named, or is null, does not run."""

    language: LanguageFilter | None = None
    length: LengthFilter | None = None
    gopher_quality: GopherQualityFilter | None = None
    gopher_repetition: GopherRepetitionFilter | None = None
    fineweb_quality: FineWebQualityFilter | None = None


class Clean(Section):
    """Repairs of the text before any filter sees it. NFC always; never NFKC, which damages Thai."""

    fix_encoding: bool = True
    """Mend mojibake with ftfy. Joiners (ZWJ, ZWNJ) and quotes stay as they are."""
    max_chars: PositiveInt | None = None
    """The window: a longer text is cut at a sentence end within so many characters. `cut_chars` says how much went."""


class PersonalInformation(Section):
    """What is masked in kept texts. Counts go into the manifest and the card."""

    mask_emails: bool = True
    mask_ip_addresses: bool = True
    mask_phone_numbers: bool = True


class Corpus(Section):
    """Documents: read, cleaned, filtered, masked."""

    sources: dict[str, Source] = Field(min_length=1)
    clean: Clean = Clean()
    filters: Filters = Filters()
    personal_information: PersonalInformation = PersonalInformation()


class MinHash(Section):
    """Near-duplicates by datatrove's MinHash: Jaccard similarity of word n-grams above about (1/buckets)^(1/hashes)."""

    ngram_words: PositiveInt = 5
    buckets: PositiveInt = 14
    hashes_per_bucket: PositiveInt = 8
    seed: int = 1


class Dedup(Section):
    """One document of each group of equals stays, the first read."""

    exact: bool = True
    minhash: MinHash | None = MinHash()


class Polish(Section):
    """Page furniture goes from the two ends of a text: menus, share buttons, bylines, dates, addresses, copyrights.

    Whole lines only, and never inside; every character that stays is the one that was there. What went stands in the
    row's `removed_head` and `removed_tail`. The limits are for texts that are all furniture, or only look so.
    """

    max_head_lines: int = Field(8, ge=0)
    """So many lines at most go from the beginning; blank lines beside them are not counted."""
    max_tail_lines: int = Field(12, ge=0)
    """The same at the end, where pages carry more."""
    max_removed_ratio: float = Field(0.3, gt=0, lt=1)
    """A text that would lose more of its characters keeps all of them."""
    phrases: tuple[Annotated[str, Field(pattern=r"\w")], ...] = Field((), strict=False)
    """How lines of furniture begin in the recipe's language: `Soma pia`, `Chanzo:`. Matched after NFC and case folding,
    in lines of up to 200 characters."""
