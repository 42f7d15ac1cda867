"""The figures that clips and whole videos are judged by, with their intervals; and the answers they rest on."""
