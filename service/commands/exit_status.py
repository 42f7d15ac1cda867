"""What a command tells the shell. 0: done; 2: not a command line that it knows, which argparse sees to."""

EXIT_FAILED = 1  # a message said why
EXIT_NOT_CLOSE = 3  # an export is kept, but nobody gets it unasked
EXIT_INTERRUPTED = 130  # by Ctrl-C, as shells count it
