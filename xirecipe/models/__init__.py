"""How a language model is reached, and what it answered."""
