"""Manifests and rows to one HTML page that needs no network.

`page.render_report` is the way in. Other modules measure one thing each and return typed values; `figures` draws them.
"""
