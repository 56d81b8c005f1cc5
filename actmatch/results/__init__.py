"""Results that carry all that was measured, how they come about, and how they are kept.

Explanations, judgments, comparisons, reports, replays. May import: all rooms but `server`, `screen`
and `cli`.
"""
