"""What can be measured of a mask, any mask: keep-rates, score card, checks, frontier.

May import: `problem` and what that may.
"""
