"""One saved network → something that takes uint8 clips and gives logits, on what suits the machine."""
