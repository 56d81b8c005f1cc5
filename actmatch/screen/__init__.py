"""The browser screen: everything here lays out, listens and shows; nothing computes.

May import: all other rooms.
"""
