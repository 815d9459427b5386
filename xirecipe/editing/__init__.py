"""Edits of recipe and language files that keep what people wrote: comments, layout, the order of what is not moved."""
