"""Other attribution methods, each a ranking of the pixels and one entry of a registry.

May import: `problem` and what that may.
"""
