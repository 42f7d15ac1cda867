"""What the review stores: verdicts, what each has reviewed, the questions that pages ask about both, cases; and what a
version that is tried would have said.
"""
