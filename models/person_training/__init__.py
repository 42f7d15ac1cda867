"""Making ``weights/person``: a YOLO network for the single class person, fine-tuned on frames of surveillance videos.

The way: frames of videos → boxes by stronger teachers → a one-class network whose person scores equal its start's →
fine-tuning → a point between start and fine-tuned network → the figures in the card.
"""
