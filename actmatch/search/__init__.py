"""The search for a mask: generator of logits, objective, optimizer, and control of the area.

May import: `methods`, `generator`, `problem` and what these may.
"""
