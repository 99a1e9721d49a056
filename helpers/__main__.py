"""``python -m helpers``: the book's commands."""

import sys

from helpers.cli import main

sys.exit(main())
