"""`python -m simsched` is the same as `simsched`."""

from simsched.cli.app import main

if __name__ == "__main__":
    main()
