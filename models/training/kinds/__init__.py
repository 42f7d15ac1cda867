"""One kind of network a file, as ``models.training.trainable`` asks of them."""
