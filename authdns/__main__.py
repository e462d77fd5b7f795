"""`python -m authdns`."""

from authdns.control.cli import main

main()
