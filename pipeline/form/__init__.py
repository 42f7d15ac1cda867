"""How exercises are done: joints' angles over media time → repetitions, and what was wrong with them."""
