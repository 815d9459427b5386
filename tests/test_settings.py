"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from xirecipe.diagnostics import UserError, render_text
from xirecipe.settings import from_environment


def refused(**environment: str) -> str:
    with pytest.raises(UserError) as error:
        from_environment(environment)
    return render_text(error.value.diagnostics)


def test_nothing_set_gives_the_defaults() -> None:
    settings = from_environment({})
    assert (settings.store, settings.requests_in_flight, settings.max_failed_ratio) == (Path("store"), 32, 0.05)
    assert settings.vllm == "served"
    assert settings.workers >= 1


def test_each_setting_is_read_from_its_variable() -> None:
    settings = from_environment(
        {
            "XIRECIPE_STORE": "/data/store",
            "XIRECIPE_WORKERS": "3",
            "XIRECIPE_REQUESTS_IN_FLIGHT": "64",
            "XIRECIPE_REQUEST_TIMEOUT_SECONDS": "1.5",
            "XIRECIPE_REQUEST_ATTEMPTS": "2",
            "XIRECIPE_MAX_FAILED_RATIO": "0",
            "XIRECIPE_FILTER_ORDER": "measured",
            "XIRECIPE_VLLM": "in_process",
            "XIRECIPE_VLLM_ARGUMENTS": "--tensor-parallel-size 2",
        }
    )
    assert settings.store == Path("/data/store")
    assert (settings.workers, settings.requests_in_flight, settings.request_attempts) == (3, 64, 2)
    assert (settings.request_timeout_seconds, settings.max_failed_ratio) == (1.5, 0.0)
    assert settings.filter_order == "measured"
    assert (settings.vllm, settings.vllm_arguments) == ("in_process", "--tensor-parallel-size 2")


def test_an_order_of_filters_that_is_not_known_is_refused() -> None:
    assert refused(XIRECIPE_FILTER_ORDER="cheapest") == (
        "error[bad-setting]: XIRECIPE_FILTER_ORDER is `cheapest`\n  = hint: `declared` or `measured`\n\n1 error\n"
    )


def test_the_url_of_one_model_wins_over_the_url_of_all() -> None:
    settings = from_environment(
        {"XIRECIPE_MODEL_URL": "http://all/v1", "XIRECIPE_MODEL_URL_BIG_JUDGE": "http://one/v1"}
    )
    assert settings.model_url("big-judge") == "http://one/v1"
    assert settings.model_url("writer") == "http://all/v1"
    assert settings.model_key("writer") is None


def test_keys_are_not_shown_when_settings_are_printed() -> None:
    assert "s3cret" not in repr(from_environment({"XIRECIPE_MODEL_KEY": "s3cret"}))


@pytest.mark.parametrize("value", ["many", "1.5", ""])
def test_a_setting_that_is_no_number_is_refused(value: str) -> None:
    assert refused(XIRECIPE_WORKERS=value) == (
        f"error[bad-setting]: XIRECIPE_WORKERS is `{value}`, which is not a number\n\n1 error\n"
    )


@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_setting_must_be_positive(value: str) -> None:
    assert refused(XIRECIPE_WORKERS=value) == (
        f"error[bad-setting]: XIRECIPE_WORKERS is {value}; it must be positive\n\n1 error\n"
    )


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_setting_must_be_finite(value: str) -> None:
    assert "error[bad-setting]: XIRECIPE_REQUEST_TIMEOUT_SECONDS is" in refused(XIRECIPE_REQUEST_TIMEOUT_SECONDS=value)


def test_an_unknown_way_of_vllm_is_refused() -> None:
    assert refused(XIRECIPE_VLLM="remote") == (
        "error[bad-setting]: XIRECIPE_VLLM is `remote`\n  = hint: `in_process` or `served`\n\n1 error\n"
    )
