"""`python -m unreel` is the `unreel` command."""

from unreel.cli import main

if __name__ == "__main__":
    main()
