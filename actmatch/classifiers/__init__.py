"""Frozen classifiers: pixels in; logits and one activation map per stage out.

Loading, class names, groups of classes, batches. May import: `images` and what that may.
"""
