"""The client of an OpenAI-compatible server, against a real HTTP server that misbehaves."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import Iterable
from typing import Any

import pytest

from tests.models.fake_server import FakeServer, Fault
from xirecipe.models.requests import Answer, Failure, FatalModelError, Request
from xirecipe.models.retries import crowded_seconds
from xirecipe.models.server import ServerClient
from xirecipe.recipe.models import Sampling
from xirecipe.settings import Settings

KEY = "sk-very-secret"


def settings(url: str, **changes: Any) -> Settings:
    environment = {"XIRECIPE_MODEL_URL": url, "XIRECIPE_MODEL_KEY": KEY}
    return Settings(**{"request_attempts": 2, "environment": environment, **changes})


def ask(server: FakeServer, *requests: Request, form: str = "chat", **changes: Any) -> list[Answer | Failure]:
    """Outcomes of requests asked one after another by one client."""

    async def all_of_them() -> list[Answer | Failure]:
        client = ServerClient("fake", "writer", form, settings(server.url, **changes))
        try:
            return [await client.answer(request) for request in requests]
        finally:
            await client.close()

    return asyncio.run(all_of_them())


def at_once(
    server: FakeServer, requests: Iterable[Request], *, most_in_flight: int | None = None, **changes: Any
) -> list[Answer | Failure]:
    async def all_of_them() -> list[Answer | Failure]:
        own = settings(server.url, **changes)
        client = ServerClient("fake", "writer", "chat", own, most_in_flight=most_in_flight)
        try:
            return await asyncio.gather(*(client.answer(request) for request in requests))
        finally:
            await client.close()

    return asyncio.run(all_of_them())


def complete(prompt: str = "Habari ya mji", **sampling: Any) -> Request:
    return Request("complete", prompt, Sampling(**sampling))


CHOOSE = Request("choose", "Rate this.", labels=("3", "2", "1"))
SCORE = Request("score", "Write about Mombasa.\n", continuation="Mombasa ni mji wa pwani")


# --- complete ---------------------------------------------------------------------------------------------------------


def test_a_chat_model_gets_the_prompt_as_the_users_message(fake_server: FakeServer) -> None:
    (answer,) = ask(fake_server, complete("Habari"))
    assert isinstance(answer, Answer)
    assert answer.text.startswith("Write a short text")
    assert (answer.prompt_tokens, answer.completion_tokens) == (1, len(answer.text.split()))
    assert fake_server.calls[0]["path"] == "/v1/chat/completions"
    assert fake_server.calls[0]["messages"] == [{"role": "user", "content": "Habari"}]


def test_a_completion_model_gets_the_prompt_as_it_stands(fake_server: FakeServer) -> None:
    ask(fake_server, complete("Habari"), form="completion")
    assert fake_server.calls[0]["path"] == "/v1/completions"
    assert fake_server.calls[0]["prompt"] == "Habari"


def test_draw_k_uses_seed_plus_k_and_unset_options_are_not_sent(fake_server: FakeServer) -> None:
    ask(fake_server, Request("complete", "a", Sampling(seed=7, temperature=0.2), draw=3))
    ask(fake_server, complete(top_k=40, stop=("\n",)))
    assert fake_server.calls[0]["seed"] == 10
    assert fake_server.calls[0]["temperature"] == 0.2
    assert "top_k" not in fake_server.calls[0]
    assert "stop" not in fake_server.calls[0]
    assert fake_server.calls[1]["top_k"] == 40
    assert fake_server.calls[1]["stop"] == ["\n"]


def test_an_empty_text_is_an_answer(fake_server: FakeServer) -> None:
    fake_server.answer = lambda body: ""
    (answer,) = ask(fake_server, complete())
    assert answer == Answer("", "stop", 3, 0)


# --- choose -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["chat", "completion"])
def test_label_probabilities_add_up_variants_and_leave_unlisted_labels_out(fake_server: FakeServer, form: str) -> None:
    fake_server.label_log_probs = {
        "3": math.log(0.5),
        " 3": math.log(0.25),
        "2": math.log(0.2),
        "maybe": math.log(0.05),
    }
    (answer,) = ask(fake_server, CHOOSE, form=form)
    assert isinstance(answer, Answer)
    assert answer.label_log_probs is not None
    assert {label: round(math.exp(p), 6) for label, p in answer.label_log_probs.items()} == {"3": 0.75, "2": 0.2}
    assert fake_server.calls[0]["max_tokens"] == 1


def test_a_server_without_log_probabilities_is_found_out_once_and_answers_in_text(fake_server: FakeServer) -> None:
    fake_server.label_log_probs = None
    fake_server.answer = lambda body: "I rate this a 2."
    answers = ask(fake_server, CHOOSE, CHOOSE, CHOOSE)
    assert [a.text for a in answers if isinstance(a, Answer)] == ["I rate this a 2."] * 3
    assert [a.label_log_probs for a in answers if isinstance(a, Answer)] == [None] * 3
    assert ["logprobs" in call for call in fake_server.calls] == [True, False, False, False]


def test_a_server_that_allows_fewer_log_probabilities_is_asked_for_fewer(fake_server: FakeServer) -> None:
    fake_server.most_top_tokens = 5
    answers = at_once(fake_server, [CHOOSE] * 4)
    assert all(isinstance(a, Answer) and a.label_log_probs for a in answers)
    assert {call["top_logprobs"] for call in fake_server.calls} == {20, 5}


# --- score ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["echo", "vllm"])
def test_a_text_is_scored_over_its_own_tokens_only(fake_server: FakeServer, way: Any) -> None:
    fake_server.prompt_log_probs = way
    (answer,) = ask(fake_server, SCORE)
    assert isinstance(answer, Answer)
    # The fake's tokens are words: the first one straddles the line break, and counts as the text's.
    assert (answer.log_prob, answer.scored_tokens) == (-2.5, 5)


def test_a_server_that_cannot_score_is_asked_once_for_each_way_not_for_each_text(fake_server: FakeServer) -> None:
    fake_server.prompt_log_probs = None
    outcomes = at_once(fake_server, [SCORE] * 20)
    assert {o.reason for o in outcomes if isinstance(o, Failure)} == {"unsupported"}
    assert len(fake_server.calls) == 2


def test_a_server_that_refuses_to_score_is_unsupported_and_still_completes(fake_server: FakeServer) -> None:
    fake_server.fail_when(lambda body: Fault(status=400, message="echo is not allowed") if "echo" in body else None)
    fake_server.prompt_log_probs = None
    *scored, completed = ask(fake_server, *[SCORE] * 5, complete())
    reasons = [outcome.reason for outcome in scored if isinstance(outcome, Failure)]
    assert reasons == ["refused", "refused", "unsupported", "unsupported", "unsupported"]
    assert isinstance(completed, Answer)
    # Three in the way that is refused, one in the way that gives nothing, and what was completed.
    assert len(fake_server.calls) == 5


def test_a_text_that_is_refused_for_its_own_sake_takes_no_way_of_scoring_from_the_others(
    fake_server: FakeServer,
) -> None:
    fake_server.fail_when(lambda body: Fault(status=400, message="unreadable") if "odd" in str(body) else None)
    odd = Request("score", "Write about Mombasa.\n", continuation="odd")
    refused, scored = ask(fake_server, odd, SCORE)
    assert isinstance(refused, Failure)
    assert refused.reason == "refused"
    assert isinstance(scored, Answer)
    assert scored.log_prob == -2.5


def test_one_reply_without_log_probabilities_is_no_sign_that_the_server_has_none(fake_server: FakeServer) -> None:
    known = fake_server.label_log_probs

    def silent_once(body: Any) -> Fault | None:
        fake_server.label_log_probs = None if "second" in str(body["messages"]) else known
        return None

    fake_server.fail_when(silent_once)
    questions = [Request("choose", f"Rate the {nth}.", labels=("3", "2", "1")) for nth in ("first", "second", "last")]
    answers = [answer for answer in ask(fake_server, *questions) if isinstance(answer, Answer)]
    assert [answer.label_log_probs is not None for answer in answers] == [True, False, True]
    assert [call["max_tokens"] for call in fake_server.calls] == [1, 1, 1]


# --- faults that pass -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [Fault(status=500), Fault(status=503), Fault(status=429), Fault("drop"), Fault("garbage"), Fault("empty_body")],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_fault_that_passes_costs_one_more_attempt(fake_server: FakeServer, fault: Fault) -> None:
    fake_server.fail_next(fault)
    (answer,) = ask(fake_server, complete())
    assert isinstance(answer, Answer)
    assert len(fake_server.calls) == 2


def test_retry_after_is_waited_for(fake_server: FakeServer) -> None:
    fake_server.fail_next(Fault(status=429, retry_after="2"))
    begun = time.monotonic()
    (answer,) = ask(fake_server, complete())
    assert isinstance(answer, Answer)
    assert time.monotonic() - begun >= 2


def test_requests_in_flight_fall_to_what_the_server_takes_and_stay_near_it(fake_server: FakeServer) -> None:
    fake_server.delay = 0.02
    refused: list[int] = []

    def crowded(body: Any) -> Fault | None:
        if fake_server.at_once <= 6:
            return None
        refused.append(len(fake_server.calls))
        return Fault(status=429)

    fake_server.fail_when(crowded)
    outcomes = at_once(
        fake_server, [complete(f"Habari {n}") for n in range(600)], requests_in_flight=48, request_attempts=1
    )
    assert all(isinstance(outcome, Answer) for outcome in outcomes)
    # Finding the limit costs refusals at the start; afterwards one in some round trips is a step too far.
    later = sum(place > len(fake_server.calls) // 2 for place in refused)
    assert 0 < later < 0.15 * len(fake_server.calls) / 2
    assert len(fake_server.calls) < 1.4 * len(outcomes)


def test_a_server_that_answers_quickly_gets_more_requests_at_once_where_it_may(fake_server: FakeServer) -> None:
    fake_server.delay = 0.02
    requests = [complete(f"Habari {n}") for n in range(200)]
    at_once(fake_server, requests, requests_in_flight=4)
    assert fake_server.most_at_once == 4
    at_once(fake_server, requests, requests_in_flight=4, most_in_flight=16)
    assert fake_server.most_at_once == 16


def test_a_request_refused_a_thousand_times_still_waits_seconds() -> None:
    assert 2.5 <= crowded_seconds(2_000) <= 5.0


def test_all_requests_wait_when_one_is_told_to(fake_server: FakeServer) -> None:
    fake_server.fail_next(Fault(status=429, retry_after="1"))
    arrived: list[float] = []
    fake_server.fail_when(lambda body: arrived.append(time.monotonic()))
    at_once(fake_server, [complete(f"Habari {n}") for n in range(4)], requests_in_flight=1)
    assert arrived[1] - arrived[0] >= 1
    assert len(arrived) == 5


def test_a_server_that_takes_nobody_fails_the_request_in_the_end(fake_server: FakeServer) -> None:
    fake_server.fail_when(lambda body: Fault(status=429, message="Too many requests"))
    (outcome,) = ask(fake_server, complete(), request_timeout_seconds=0.3, request_attempts=1)
    assert outcome == Failure("server_error", "HTTP 429: Too many requests")


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_come_back_tomorrow_ends_the_run(fake_server: FakeServer, status: int) -> None:
    fake_server.fail_next(Fault(status=status, retry_after="40000"))
    with pytest.raises(FatalModelError) as caught:
        ask(fake_server, complete())
    assert caught.value.code == "rate-limited"


def test_a_request_without_reply_fails_with_the_time_limit(fake_server: FakeServer) -> None:
    fake_server.fail_next(Fault("hang"), Fault("hang"))
    (outcome,) = ask(fake_server, complete(), request_timeout_seconds=0.2)
    assert outcome == Failure("timeout", "no reply within 0.2 seconds")


def test_a_request_that_fails_every_attempt_is_a_failure_with_the_servers_words(fake_server: FakeServer) -> None:
    fake_server.fail_when(lambda body: Fault(status=500, message="CUDA out of memory"))
    (outcome,) = ask(fake_server, complete(), request_attempts=3)
    assert isinstance(outcome, Failure)
    assert outcome.reason == "server_error"
    assert outcome.detail == "HTTP 500: CUDA out of memory"
    assert len(fake_server.calls) == 3


def test_a_server_that_fails_everything_ends_the_run_before_every_request_was_tried(fake_server: FakeServer) -> None:
    fake_server.fail_when(lambda body: Fault(status=500))
    with pytest.raises(FatalModelError) as caught:
        ask(fake_server, *[complete(str(i)) for i in range(50)], request_attempts=1, requests_in_flight=10)
    assert caught.value.code == "server-failing"
    assert len(fake_server.calls) == 20


# --- faults of one request --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 2048 tokens. However, you requested 3000 tokens.",
        "the request exceeds the available context size, try increasing it",
    ],
)
def test_a_prompt_beyond_the_context_is_too_long_and_not_tried_again(fake_server: FakeServer, words: str) -> None:
    fake_server.fail_next(Fault(status=400, message=words))
    (outcome,) = ask(fake_server, complete())
    assert isinstance(outcome, Failure)
    assert outcome.reason == "too_long"
    assert len(fake_server.calls) == 1


def test_a_refused_request_fails_alone(fake_server: FakeServer) -> None:
    fake_server.fail_when(lambda body: Fault(status=400, message="content filter") if "bad" in str(body) else None)
    bad, good = ask(fake_server, complete("bad"), complete("good"))
    assert isinstance(bad, Failure)
    assert bad.reason == "refused"
    assert isinstance(good, Answer)


# --- faults that end a run --------------------------------------------------------------------------------------------


def test_a_missing_url_names_the_variable_to_set() -> None:
    with pytest.raises(FatalModelError) as caught:
        ServerClient("fake", "big-writer", "chat", Settings())
    assert caught.value.code == "no-model-url"
    assert caught.value.hint == "export XIRECIPE_MODEL_URL_BIG_WRITER=http://localhost:8000/v1"


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(FatalModelError) as caught:
        ServerClient("fake", "writer", "chat", settings("localhost:8000"))
    assert caught.value.code == "bad-model-url"


def test_nothing_listening_ends_the_run_at_once_with_url_and_variable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = FakeServer(url=f"http://127.0.0.1:{probe.getsockname()[1]}/v1")
    begun = time.monotonic()
    with pytest.raises(FatalModelError) as caught:
        ask(nobody, complete(), request_attempts=5)
    assert caught.value.code == "server-unreachable"
    assert nobody.url in caught.value.message
    assert "XIRECIPE_MODEL_URL" in (caught.value.hint or "")
    assert time.monotonic() - begun < 1


def test_a_host_that_swallows_packets_ends_the_run_without_waiting_for_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as queued:
        # The queue of connections nobody accepts is full after this one: further ones get no reply at all.
        queued.connect(full.getsockname())
        silent = FakeServer(url=f"http://127.0.0.1:{full.getsockname()[1]}/v1")
        with pytest.raises(FatalModelError) as caught:
            ask(silent, complete(), request_timeout_seconds=1)
    assert caught.value.code == "server-unreachable"


def test_a_server_that_goes_away_is_tried_again_before_it_ends_the_run() -> None:
    async def answered_then_gone() -> None:
        with FakeServer() as server:
            client = ServerClient("fake", "writer", "chat", settings(server.url))
            assert isinstance(await client.answer(complete()), Answer)
        begun = time.monotonic()
        try:
            with pytest.raises(FatalModelError, match="no server for the model `writer`"):
                await client.answer(complete("again"))
        finally:
            await client.close()
        assert time.monotonic() - begun > 0.4

    asyncio.run(answered_then_gone())


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_ends_the_run_and_is_never_shown(fake_server: FakeServer, status: int) -> None:
    fake_server.fail_next(Fault(status=status, message=f"Incorrect API key provided: {KEY}"))
    with pytest.raises(FatalModelError) as caught:
        ask(fake_server, complete())
    assert caught.value.code == "server-refused-key"
    assert "XIRECIPE_MODEL_KEY" in (caught.value.hint or "")
    assert KEY not in f"{caught.value.message}{caught.value.hint}{caught.value!r}"


def test_a_key_with_a_line_break_is_refused_before_it_is_sent(fake_server: FakeServer) -> None:
    environment = {"XIRECIPE_MODEL_URL": fake_server.url, "XIRECIPE_MODEL_KEY": f"{KEY}\r"}
    with pytest.raises(FatalModelError) as caught:
        ask(fake_server, complete(), environment=environment)
    assert caught.value.code == "bad-model-key"
    assert KEY not in f"{caught.value.message}{caught.value.hint}"


def test_a_server_that_repeats_the_key_does_not_bring_it_into_a_failure(fake_server: FakeServer) -> None:
    fake_server.fail_next(Fault(status=400, message=f"bad header Bearer {KEY}"))
    (outcome,) = ask(fake_server, complete())
    assert isinstance(outcome, Failure)
    assert "bad header Bearer ***" in outcome.detail


def test_the_right_key_is_sent(fake_server: FakeServer) -> None:
    fake_server.key = KEY
    assert isinstance(ask(fake_server, complete())[0], Answer)


def test_an_unknown_model_ends_the_run(fake_server: FakeServer) -> None:
    fake_server.models = ("another",)
    with pytest.raises(FatalModelError) as caught:
        ask(fake_server, complete())
    assert caught.value.code == "unknown-model"
    assert "`models.writer.model`" in (caught.value.hint or "")


def test_a_base_model_that_is_sent_messages_ends_the_run(fake_server: FakeServer) -> None:
    words = "default chat template is no longer allowed, so you must provide a chat template"
    fake_server.fail_next(Fault("status", 400, words))
    with pytest.raises(FatalModelError) as caught:
        ask(fake_server, complete())
    assert caught.value.code == "no-chat-template"
    assert "prompt_format: completion" in (caught.value.hint or "")


def test_a_url_without_its_v1_ends_the_run(fake_server: FakeServer) -> None:
    fake_server.url = fake_server.url.removesuffix("/v1")
    with pytest.raises(FatalModelError) as caught:
        ask(fake_server, complete())
    assert caught.value.code == "wrong-model-url"
    assert "/v1" in (caught.value.hint or "")


def test_a_proxy_of_the_environment_is_not_used(fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert isinstance(ask(fake_server, complete())[0], Answer)
