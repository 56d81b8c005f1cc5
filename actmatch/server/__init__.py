"""What a process allows and watches that serves visitors: its set-up, classifiers, queue and end.

May import `results` and what lies below it.
"""
