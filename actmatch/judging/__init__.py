"""The mask that is returned: selected from those a search has seen, reduced, and tested.

May import: `search`, `evidence` and what these may.
"""
