"""datatrove's MinHash signatures, equal texts' digests in the same pass, and pairs of equal signatures.

The same files as datatrove's first two stages, in calls that run in C.
"""

from __future__ import annotations

import sys
import unicodedata
from contextlib import ExitStack
from functools import cache
from hashlib import blake2b, sha1
from pathlib import Path
from typing import BinaryIO

import numpy as np
import regex
from datatrove.data import DocumentsPipeline
from datatrove.io import get_datafolder
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets, MinhashDedupSignature
from datatrove.utils.text import PUNCTUATION_TRANS
from numpy.typing import NDArray

from xirecipe.engines.words import Words

DIGEST_BYTES = 16
#: The prime of datatrove's hash family, 2^61 - 1: a remainder by it is a shift and an addition.
_PRIME_BITS = np.uint64(61)
_PRIME = np.uint64((1 << 61) - 1)
#: Shingles whose hashes are made at a time: for 112 hash functions two arrays of 224 KiB, which stay in a core's cache.
_SHINGLES = 256
#: The beginning of a SHA-1 digest.
_SHA1 = np.dtype([("first", "<u8"), ("rest", "V12")])


class Digests(PipelineStep):
    """Lets documents pass and writes what makes two of them equal: `folder/<rank>`, 16 bytes each, in order.

    `folder` may be on any file system that fsspec knows.
    """

    name = "digests"

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.folder = get_datafolder(str(folder))

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        with self.folder.open(f"{rank:06d}", "wb") as file:
            for document in data:
                file.write(digest(document.text))
                yield document


def digest(text: str) -> bytes:
    """Equal for texts that are the same after lower-casing and folding white space."""
    return blake2b(" ".join(text.lower().split()).encode(), digest_size=DIGEST_BYTES).digest()


class Signatures(MinhashDedupSignature):
    """datatrove's first MinHash stage: the same files, for SHA-1 hashes of 64 bits."""

    def __init__(self, folder: str, config: MinhashConfig, words: Words) -> None:
        super().__init__(folder, config, language=words)
        assert (config.hash_config.hash_fc, config.hash_config.precision) == ("sha1", 64)

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:
        per_bucket = self.config.hashes_per_bucket
        record = _record(self.config)
        with ExitStack() as stack:
            files: list[BinaryIO] = [
                stack.enter_context(self.output_folder.open(f"bucket_{bucket:03d}/{rank:05d}.minhash.sig", mode="wb"))
                for bucket in range(self.config.num_buckets)
            ]
            # datatrove's order: by hashes, then by document.
            found = [
                (number, signature)
                for number, document in enumerate(data)
                if (signature := self.signature(document.text)) is not None
            ]
            numbers = np.array([number for number, _ in found], dtype=np.uint32)
            hashes = np.array([signature for _, signature in found], dtype=np.uint64).reshape(
                len(found), self.config.num_buckets, per_bucket
            )
            for bucket, file in enumerate(files):
                order = np.lexsort((numbers, *hashes[:, bucket, ::-1].T))
                records = np.empty(len(found), dtype=record)
                records["hashes"], records["document"] = hashes[order, bucket], numbers[order]
                file.write(records.tobytes())

    def signature(self, text: str) -> NDArray[np.uint64] | None:
        """The least hash of a text's shingles under each of the hash functions; None for fewer words than a shingle."""
        shingles = self.shingles(text)
        if not shingles.size:
            return None
        a, b = self.parameters
        hashes, spare = np.empty((2, min(len(shingles), _SHINGLES), a.size), dtype=np.uint64)
        least = np.full(a.size, np.iinfo(np.uint64).max, dtype=np.uint64)
        for start in range(0, len(shingles), _SHINGLES):
            some = shingles[start : start + _SHINGLES]
            found = np.multiply(some, a, out=hashes[: len(some)])
            found += b
            np.minimum(least, _remainders(found, spare[: len(some)]).min(axis=0), out=least)
        return least

    def shingles(self, text: str) -> NDArray[np.uint64]:
        """datatrove's `get_shingles`: hashed n-grams of the simplified text's words, shape (n-grams, 1)."""
        split = self.word_tokenizer.word_tokenize(simplified(text))
        grams = map(" ".join, zip(*(split[start:] for start in range(self.config.n_grams)), strict=False))
        raw = b"".join([sha1(gram.encode(), usedforsecurity=False).digest() for gram in grams])
        return np.frombuffer(raw, dtype=_SHA1)["first"].reshape(-1, 1)


class Pairs(MinhashDedupBuckets):
    """datatrove's second MinHash stage without an index, one task a bucket: the same files.

    Holds about 40 bytes a row while first hashes are sorted, and the whole signatures of rows that share theirs.
    """

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> None:
        assert world_size == self.config.num_buckets
        files = self.input_folder.list_files(subdirectory=f"bucket_{rank:03d}")
        firsts = [self._read(file)["hashes"][:, 0].copy() for file in files]
        ordered = np.sort(np.concatenate(firsts))
        shared = ordered[1:][ordered[1:] == ordered[:-1]]
        records: list[NDArray[np.void]] = []
        tasks: list[NDArray[np.uint32]] = []
        for file, first in zip(files, firsts, strict=True):
            if (chosen := np.isin(first, shared)).any():
                records.append(self._read(file)[chosen])
                tasks.append(np.full(len(records[-1]), int(Path(file).name.partition(".")[0]), dtype=np.uint32))
        with self.output_folder.open(f"{rank:05d}_00.dups", mode="wb") as output:
            if records:
                output.write(_paired(np.concatenate(records), np.concatenate(tasks)).tobytes())

    def _read(self, file: str) -> NDArray[np.void]:
        with self.input_folder.open(file, mode="rb") as stream:
            return np.frombuffer(stream.read(), dtype=_record(self.config))


def _paired(records: NDArray[np.void], tasks: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Neighbours of one signature: task and document of both, shape (pairs, 4). The first read comes first."""
    hashes, documents = records["hashes"], records["document"]
    order = np.lexsort(hashes[:, ::-1].T)  # stable
    same = (hashes[order[1:]] == hashes[order[:-1]]).all(axis=1)
    one, other = order[:-1][same], order[1:][same]
    return np.column_stack([tasks[one], documents[one], tasks[other], documents[other]])


def _record(config: MinhashConfig) -> np.dtype[np.void]:
    """One row of a signature file."""
    return np.dtype([("hashes", "<u8", config.hashes_per_bucket), ("document", "<u4")])


def _remainders(values: NDArray[np.uint64], spare: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """`values % (2^61 - 1)`, in their place; `spare` is overwritten."""
    np.right_shift(values, _PRIME_BITS, out=spare)
    values &= _PRIME
    values += spare
    np.subtract(values, _PRIME, out=spare)  # wraps around where there is nothing to take away
    return np.minimum(values, spare, out=values)


_NUMBERS = regex.compile(r"\p{Nd}+(?:[.,،٫⎖⎗⎘]\p{Nd}+)?")


def simplified(text: str) -> str:
    """datatrove's `simplify_text`: lower case, numbers as 0, no punctuation, single spaces, no non-spacing marks."""
    text = _NUMBERS.sub("0", text.lower()).translate(PUNCTUATION_TRANS)
    text = " ".join(text.split())
    if text.isascii():
        return text
    return unicodedata.normalize("NFD", text).translate(_marks()).strip()


@cache
def _marks() -> dict[int, None]:
    return {code: None for code in range(0x300, sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Mn"}
