"""Channels of a classifier that a decision runs through, their connections, and the test of both.

May import: `problem` and what that may.
"""
