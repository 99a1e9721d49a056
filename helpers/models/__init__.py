"""Network definitions, one file each: no files, no bytes, no plots."""
