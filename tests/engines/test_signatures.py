from __future__ import annotations

from pathlib import Path

import pytest
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig
from datatrove.utils.text import simplify_text
from hypothesis import example, given
from hypothesis import strategies as st

from xirecipe.engines.signatures import Digests, Pairs, Signatures, digest, simplified
from xirecipe.engines.words import UnicodeWords

CONFIG = MinhashConfig(n_grams=3, num_buckets=4, hashes_per_bucket=2, hash_config=HashConfig(hash_fc="sha1"))


@given(st.text())
@example("Bei ni 1.500,50 au ٣٫٥; ﬁn “É” é\u0301 ৰ\u09cd क\u093c \x1f x")
def test_a_text_is_simplified_as_datatrove_does(text: str) -> None:
    assert simplified(text) == simplify_text(text)


def test_signature_files_are_datatroves(tmp_path: Path) -> None:
    texts = [
        "Watoto wa shule walikwenda sokoni",
        "",
        "moja mbili",
        "ที่นี่ มี ร้าน หนังสือ",
        "Été à 12,5 °C, déjà vu",
        "a b c " * 3000,
    ]
    documents = [Document(text, str(number)) for number, text in enumerate(texts * 3)]
    theirs = MinhashDedupSignature(str(tmp_path / "theirs"), CONFIG, language=UnicodeWords())
    theirs.run(iter(documents))
    Signatures(str(tmp_path / "ours"), CONFIG, UnicodeWords()).run(iter(documents))
    for bucket in range(CONFIG.num_buckets):
        name = f"bucket_{bucket:03d}/00000.minhash.sig"
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes() != b""


def test_pairs_of_equal_signatures_are_datatroves(tmp_path: Path) -> None:
    signing = Signatures(str(tmp_path / "signatures"), CONFIG, UnicodeWords())
    tasks = (
        ["moja mbili tatu", "nne tano sita", "saba nane tisa", "moja mbili tatu"],
        [],
        ["x"],
        ["moja mbili tatu", "saba nane tisa"],
    )
    for rank, texts in enumerate(tasks):
        signing.run((Document(text, "x") for text in texts), rank=rank)
    for kind, name in ((MinhashDedupBuckets, "theirs"), (Pairs, "ours")):
        step = kind(str(tmp_path / "signatures"), str(tmp_path / name), config=CONFIG)
        for bucket in range(CONFIG.num_buckets):
            step.run(None, bucket, CONFIG.num_buckets)
    for bucket in range(CONFIG.num_buckets):
        file = f"{bucket:05d}_00.dups"
        found = (tmp_path / "ours" / file).read_bytes()
        assert found == (tmp_path / "theirs" / file).read_bytes()
        assert len(found) == 3 * 16


@pytest.mark.parametrize(("one", "other"), [("Habari  ya\nleo", "habari ya leo "), ("MJI", "mji")])
def test_case_and_white_space_make_no_difference_to_a_digest(one: str, other: str) -> None:
    assert digest(one) == digest(other) != digest(one + "x")


def test_digests_stand_in_the_order_of_the_documents(tmp_path: Path) -> None:
    passed = list(Digests(tmp_path).run(iter([Document("moja", "a"), Document("mbili", "b")]), rank=3))
    assert [document.id for document in passed] == ["a", "b"]
    assert (tmp_path / "000003").read_bytes() == digest("moja") + digest("mbili")
