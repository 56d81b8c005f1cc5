"""What is explained, and how: photograph, class or other question, settings, promise, backgrounds.

Also the terms of the objective. May import: `classifiers` and what that may.
"""
