"""Two states of a recipe beside one another: what a change of its files would change, re-run, and cost."""
