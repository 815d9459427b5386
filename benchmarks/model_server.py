"""A model server that only takes time: as long for a prompt whoever asks, fixed or log-normal with a tail.

python -m benchmarks.model_server PORT_FILE --latency fixed|varying
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from pathlib import Path

from aiohttp import web

SECONDS = 0.05
#: Of `varying`: log-normal around the median, and one request of a hundred that takes twenty times as long.
SIGMA, TAIL_SHARE, TAIL_TIMES = 0.5, 0.01, 20


def seconds(prompt: str, latency: str) -> float:
    """How long a prompt takes; the same in every run."""
    if latency == "fixed":
        return SECONDS
    drawn = random.Random(prompt)
    return SECONDS * drawn.lognormvariate(0, SIGMA) * (TAIL_TIMES if drawn.random() < TAIL_SHARE else 1)


async def serve(port_file: Path, latency: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        await asyncio.sleep(seconds(body["messages"][-1]["content"], latency))
        return web.Response(body=_ANSWER, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    temporary = port_file.with_suffix(".tmp")
    temporary.write_text(str(runner.addresses[0][1]))
    temporary.replace(port_file)
    await asyncio.Event().wait()


_ANSWER = json.dumps(
    {
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Explain how tides work."},
            }
        ],
        "usage": {"prompt_tokens": 400, "completion_tokens": 5},
    }
).encode()

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port_file", type=Path)
    parser.add_argument("--latency", choices=("fixed", "varying"), default="fixed")
    given = parser.parse_args()
    asyncio.run(serve(given.port_file, given.latency))
