"""What leader and nodes say to each other, and what carries it: Ray, in a process of its own."""
