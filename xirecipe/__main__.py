"""`python -m xirecipe`."""

from xirecipe.cli import entry

entry()
