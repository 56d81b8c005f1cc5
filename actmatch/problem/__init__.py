"""What is asked: a photograph, a class or other question, settings, a promise, backgrounds.

Terms of the objective, too. May import: `classifiers` and what that may.
"""
