"""A mask generator trained once on many photographs: a mask in one pass of the classifier.

The network reads a frozen classifier's stages; here it is trained, kept in checkpoints, and used
for previews. May import: `problem` and what that may.
"""
