"""What is measured of any mask: keep-rates, score card, checks, frontier.

May import: `problem` and what that may.
"""
