"""What a command tells the shell. 0: done; 2: not a command line that it knows, which argparse sees to."""

EXIT_FAILED = 1  # a message said why
EXIT_NOT_CLOSE = 3  # an export is kept, but nobody gets it unasked
EXIT_REFUSED = 4  # a version was made, and the gate refused it
EXIT_AGAIN = 75  # the same again may succeed: the machine goes, or a store is away (EX_TEMPFAIL of sysexits.h)
EXIT_INTERRUPTED = 130  # by Ctrl-C, as shells count it
