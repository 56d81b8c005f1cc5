"""Images and masks: reading, fitting to an input size, drawing, shape, and rankings of pixels.

May import: `bounds`, `wording`, `errors`. Independent of any classifier.
"""
