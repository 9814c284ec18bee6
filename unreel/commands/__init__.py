"""The command line's verbs, one file each; unreel/cli.py wires them."""
