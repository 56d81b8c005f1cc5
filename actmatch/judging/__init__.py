"""From what a search has seen to the mask that is returned: selected, reduced, tested.

May import: `search`, `evidence` and what these may.
"""
