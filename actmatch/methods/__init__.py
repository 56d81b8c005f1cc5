"""Attributions by other methods, each a ranking of the pixels; one entry of a registry each.

May import: `problem` and what that may.
"""
