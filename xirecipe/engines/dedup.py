"""The dedup stage: equal texts by hash, near-equal ones by datatrove's MinHash. The first read of each group stays."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr
from hashlib import blake2b
from io import StringIO
from pathlib import Path
from time import monotonic

from datatrove.io import get_datafolder
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupSignature,
)
from datatrove.utils.hashing import HashConfig

from xirecipe import tables
from xirecipe.engines.executor import execute, watched
from xirecipe.engines.readers import Shard
from xirecipe.engines.sources import opened
from xirecipe.engines.spreading import Scratch, spread
from xirecipe.engines.words import words_of
from xirecipe.recipe.corpus import Dedup, FileSource, MinHash
from xirecipe.stage import Outcome, Progress, Work

EXACT = "dedup.exact"
MINHASH = "dedup.minhash"
_SOURCE = "corpus"
#: One record of datatrove's `.clusters` files: the document's number in its task, its cluster's number.
_CLUSTER_RECORD = struct.Struct("<2I")


def run_dedup(work: Work) -> Outcome:
    """Drop documents that equal an earlier one (`dedup.exact`) or nearly do (`dedup.minhash`).

    A dropped row's detail is the id of the document that stays. Equal means the same after lower-casing and folding
    white space. Hashes are held in memory, about 150 bytes a row.
    """
    started = monotonic()
    config = work.stage.config
    assert isinstance(config, Dedup)
    data = work.inputs["corpus"].data
    total = tables.count(data)
    scratch = Scratch(work)
    exact = _equal_to(data) if config.exact else {}
    near = _near(work, config.minhash, scratch, total) if config.minhash and total > 1 else {}
    stands_for = {ordinal: _kept(ordinal, exact, near) for ordinal in exact.keys() | near.keys()}
    dropped: Counter[str] = Counter()
    names: dict[int, str] = dict.fromkeys(stands_for.values(), "")

    def kept() -> Iterator[tables.Row]:
        for ordinal, row in enumerate(tables.read(data)):
            if ordinal in names:
                names[ordinal] = row["document_id"]
            if ordinal not in stands_for:
                yield row

    def gone() -> Iterator[tables.Row]:
        for ordinal, row in enumerate(tables.read(data)):
            if ordinal in stands_for:
                reason = EXACT if ordinal in exact else MINHASH
                dropped[reason] += 1
                yield row | {"reason": reason, "detail": names[stands_for[ordinal]]}

    columns = work.stage.columns
    stay = tables.write(work.output.data, kept(), columns)
    tables.write(work.output.dropped, gone(), columns, outcome=True)
    scratch.remove()
    work.report(Progress(total, total, "documents"))
    facts = {"groups": len(names), "seconds": round(monotonic() - started, 2)}
    return Outcome(rows_in=total, asked=total, kept=stay, dropped=dict(dropped), facts=facts)


def _equal_to(data: Path) -> dict[int, int]:
    """Rows whose text an earlier row has: row number to that of the first."""
    first: dict[bytes, int] = {}
    equal: dict[int, int] = {}
    for ordinal, row in enumerate(tables.read(data, ["text"])):
        text = " ".join(row["text"].lower().split())
        earlier = first.setdefault(blake2b(text.encode(), digest_size=16).digest(), ordinal)
        if earlier != ordinal:
            equal[ordinal] = earlier
    return equal


def _near(work: Work, config: MinHash, scratch: Scratch, total: int) -> dict[int, int]:
    """Rows in a MinHash cluster with an earlier row: row number to that of the cluster's first."""
    given = work.inputs["corpus"]
    source = FileSource(license="", format="parquet", path=str(given.data.resolve()), id_column="document_id")
    readers, shards = opened({_SOURCE: source}, Path(), None)
    if work.settings.executor != "local":
        # The rows where other machines see them, too; they were counted here.
        readers[0].data_folder = get_datafolder(given.address("data"))
    minhash = MinhashConfig(
        n_grams=config.ngram_words,
        num_buckets=config.buckets,
        hashes_per_bucket=config.hashes_per_bucket,
        seed=config.seed,
        # Not xxhash, datatrove's default: from its version 4 on it takes no strings, and datatrove hands it strings.
        hash_config=HashConfig(precision=64, hash_fc="sha1"),
    )
    signatures, buckets, clusters = (scratch.at(name) for name in ("signatures", "buckets", "clusters"))
    signature = MinhashDedupSignature(signatures, minhash, language=words_of(work.stage.language.words))
    with watched(scratch.folder / "ticks", total, work.report):
        steps = [*readers, *scratch.ticks(), signature]
        spread(work, scratch, steps, tasks=len(shards), logs="signature-logs")
    pairing = MinhashDedupBuckets(signatures, buckets, config=minhash)
    if work.settings.executor == "local":
        # The two stages that join signatures are light: a second process would cost more than it gives.
        execute([pairing], tasks=config.buckets, workers=1, logs=scratch.folder / "bucket-logs")
    else:
        spread(work, scratch, [pairing], tasks=config.buckets, logs="bucket-logs")
    with redirect_stderr(StringIO()):  # datatrove draws a bar that cannot be switched off
        joining = MinhashDedupCluster(buckets, clusters, minhash, save_cluster_id=True)
        execute([joining], tasks=1, workers=1, logs=scratch.folder / "cluster-logs")
    return _firsts(scratch.gathered("clusters"), shards)


def _firsts(clusters: Path, shards: list[Shard]) -> dict[int, int]:
    """datatrove keeps whichever member of a cluster was joined most; here the one read first is kept."""
    first: dict[int, int] = {}
    near: dict[int, int] = {}
    for rank, shard in enumerate(shards):
        path = clusters / f"{rank:06d}.clusters"
        for document, cluster in _CLUSTER_RECORD.iter_unpack(path.read_bytes() if path.exists() else b""):
            ordinal = shard.ordinal + document
            earlier = first.setdefault(cluster, ordinal)
            if earlier != ordinal:
                near[ordinal] = earlier
    return near


def _kept(ordinal: int, exact: dict[int, int], near: dict[int, int]) -> int:
    """The row that stays in the place of this one, over both relations; each step leads to an earlier row."""
    while (earlier := exact.get(ordinal, near.get(ordinal))) is not None:
        ordinal = earlier
    return ordinal
