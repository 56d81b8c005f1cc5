"""Pictures and masks as such: read, fitted, drawn, measured for their shape.

May import: `bounds`, `wording`, `errors`. Knows no classifier.
"""
