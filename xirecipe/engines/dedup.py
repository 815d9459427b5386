"""The dedup stage: equal texts by hash, near-equal ones by datatrove's MinHash. The first read of each group stays."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from time import monotonic

import numpy as np
import pyarrow as pa
from datatrove.io import get_datafolder
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupCluster
from datatrove.utils.hashing import HashConfig

from xirecipe import tables
from xirecipe.engines.executor import execute, watched
from xirecipe.engines.readers import Shard
from xirecipe.engines.signatures import DIGEST_BYTES, Digests, Pairs, Signatures
from xirecipe.engines.sources import opened
from xirecipe.engines.spreading import Scratch, spread
from xirecipe.engines.words import words_of
from xirecipe.recipe.corpus import Dedup, FileSource
from xirecipe.work import Outcome, Progress, Work

EXACT = "dedup.exact"
MINHASH = "dedup.minhash"
_SOURCE = "corpus"
#: One record of datatrove's `.clusters` files: the document's number in its task, its cluster's number.
_CLUSTER_RECORD = struct.Struct("<2I")


def run_dedup(work: Work) -> Outcome:
    """Drop documents that equal an earlier one (`dedup.exact`) or nearly do (`dedup.minhash`).

    A dropped row's detail is the id of the document that stays. Equal means the same after lower-casing and folding
    white space. Digests are held in memory, about 60 bytes a row while they are sorted.
    """
    started = monotonic()
    config = work.stage.config
    assert isinstance(config, Dedup)
    data = work.inputs["corpus"].data
    total = tables.count(data)
    scratch = Scratch(work)
    exact, near = _read(work, config, scratch, total) if total > 1 else ({}, {})
    stands_for = {ordinal: _kept(ordinal, exact, near) for ordinal in exact.keys() | near.keys()}
    dropped: Counter[str] = Counter()
    names: dict[int, str] = dict.fromkeys(stands_for.values(), "")

    def kept() -> Iterator[pa.RecordBatch]:
        for ordinals, batch in _numbered(data):
            for ordinal in names.keys() & ordinals:
                names[ordinal] = batch["document_id"][ordinal - ordinals.start].as_py()
            yield batch.filter(pa.array([ordinal not in stands_for for ordinal in ordinals]))

    def gone() -> Iterator[tables.Row]:
        for ordinals, batch in _numbered(data):
            left = sorted(stands_for.keys() & ordinals)
            rows = batch.take(pa.array([ordinal - ordinals.start for ordinal in left], pa.int64())).to_pylist()
            for ordinal, row in zip(left, rows, strict=True):
                reason = EXACT if ordinal in exact else MINHASH
                dropped[reason] += 1
                yield row | {"reason": reason, "detail": names[stands_for[ordinal]]}

    columns = work.stage.columns
    stay = tables.write_batches(work.output.data, kept(), columns)
    tables.write(work.output.dropped, gone(), columns, outcome=True)
    scratch.remove()
    work.report(Progress(total, total, "documents"))
    facts = {"groups": len(names), "seconds": round(monotonic() - started, 2)}
    return Outcome(rows_in=total, asked=total, kept=stay, dropped=dict(dropped), facts=facts)


def _numbered(data: Path) -> Iterator[tuple[range, pa.RecordBatch]]:
    """Rows as they lie on disk, with their numbers."""
    start = 0
    for batch in tables.batches(data):
        yield range(start, start + len(batch)), batch
        start += len(batch)


def _read(work: Work, config: Dedup, scratch: Scratch, total: int) -> tuple[dict[int, int], dict[int, int]]:
    """Rows equal to an earlier one, and rows in a MinHash cluster with one: row number to that of the first."""
    given = work.inputs["corpus"]
    source = FileSource(license="", format="parquet", path=str(given.data.resolve()), id_column="document_id")
    readers, shards = opened({_SOURCE: source}, Path(), None)
    if work.settings.executor != "local":
        # The rows where other machines see them, too; they were counted here.
        readers[0].data_folder = get_datafolder(given.address("data"))
    steps: list[PipelineStep] = [*readers, *scratch.ticks()]
    if config.exact:
        steps.append(Digests(scratch.at("digests")))
    if config.minhash:
        minhash = MinhashConfig(
            n_grams=config.minhash.ngram_words,
            num_buckets=config.minhash.buckets,
            hashes_per_bucket=config.minhash.hashes_per_bucket,
            seed=config.minhash.seed,
            # Not xxhash, datatrove's default: from version 4 on it takes no strings, and datatrove hands it strings.
            hash_config=HashConfig(precision=64, hash_fc="sha1"),
        )
        steps.append(Signatures(scratch.at("signatures"), minhash, words_of(work.stage.language.words)))
    with watched(scratch.folder / "ticks", total, work.report):
        spread(work, scratch, steps, tasks=len(shards), logs="signature-logs")
    exact: dict[int, int] = {}
    if config.exact:
        digests = scratch.gathered("digests")
        exact = _equal_to([digests / f"{rank:06d}" for rank in range(len(shards))])
    near = _near(work, minhash, scratch, shards) if config.minhash else {}
    return exact, near


def _equal_to(files: list[Path]) -> dict[int, int]:
    """Rows whose digest an earlier row has: row number to that of the first."""
    digests = np.concatenate([np.fromfile(file, dtype="<u8").reshape(-1, DIGEST_BYTES // 8) for file in files])
    order = np.lexsort(digests.T)  # stable: of equal rows the first read comes first
    ordered = digests[order]
    again = np.flatnonzero((ordered[1:] == ordered[:-1]).all(axis=1)) + 1
    equal: dict[int, int] = {}
    for place in again.tolist():
        earlier = int(order[place - 1])
        equal[int(order[place])] = equal.get(earlier, earlier)
    return equal


def _near(work: Work, minhash: MinhashConfig, scratch: Scratch, shards: list[Shard]) -> dict[int, int]:
    signatures, buckets, clusters = (scratch.at(name) for name in ("signatures", "buckets", "clusters"))
    pairing = Pairs(signatures, buckets, config=minhash)
    if work.settings.executor == "local":
        # The two stages that join signatures are light: a second process would cost more than it gives.
        execute([pairing], tasks=minhash.num_buckets, workers=1, logs=scratch.folder / "bucket-logs")
    else:
        spread(work, scratch, [pairing], tasks=minhash.num_buckets, logs="bucket-logs")
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
