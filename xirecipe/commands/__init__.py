"""One function a command: from arguments to an exit code."""
