"""The search for a mask: generator of logits, objective, descent, and what steers the area.

May import: `methods`, `problem` and what these may.
"""
