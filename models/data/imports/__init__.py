"""Other programs' files of tracks and labels."""
