"""Where frames come from: addresses, decoders, connections that are lost and found again."""
