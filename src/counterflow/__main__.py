"""`python -m counterflow` is the command line."""

from counterflow.cli import main

if __name__ == "__main__":
    main()
