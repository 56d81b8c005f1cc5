"""Frozen classifiers: pixels in, logits and one activation map per stage out.

Also their loading, class names, groups of classes, and batches. May import: `images` and what that
may.
"""
