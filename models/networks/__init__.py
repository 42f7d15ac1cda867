"""Networks: one a file, built by name from ``registry``; what they cost without running them."""
