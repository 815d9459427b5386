"""A process that ends with the one that started it, however that went. As a script it runs a command so.

Whoever starts it makes it the leader of a group (`start_new_session`), and holds the only other end of its stdin.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys


def leash() -> None:
    """Kill this process group when the process that started it is gone: its end of our stdin closes then.

    A process of its own, so that neither an import nor a model that holds the interpreter's lock delays it.
    """
    if os.getpgrp() == os.getpid() and os.fork() == 0:
        os.read(sys.stdin.fileno(), 1)
        os.killpg(os.getpgrp(), signal.SIGKILL)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """What the starter does in the end: nothing that the process started outlives it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # the whole group has ended
    finally:
        process.wait()
        if process.stdin:
            process.stdin.close()


if __name__ == "__main__":
    leash()
    os.execvp(sys.argv[1], sys.argv[1:])
