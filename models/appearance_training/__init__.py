"""Making ``weights/appearance``: a network that tells people apart, taught by a larger one on people of videos.

The way: person crops of videos → what the teacher says of each at full size → a copy of the teacher's form at a quarter
to a half of its picture, started from its weights → training on blurred, shifted, recoloured crops → the network that
does best on people of videos it never saw, and the figures in the card.
"""
