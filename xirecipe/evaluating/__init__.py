"""How sets of answers are evaluated: files -> rows -> requests -> verdicts -> statistics. Nothing is asked here."""
