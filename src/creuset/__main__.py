"""`python -m creuset` is the `creuset` command."""

from creuset.cli import main

if __name__ == "__main__":
    main()
