"""What a weights folder holds: card, network, exports' records; and where published ones come from."""
