"""What the pages that look at the whole book say: numbers of the reference runs, and pictures."""
