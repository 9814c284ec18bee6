"""What `unreel bench` runs: results as JSON and a Markdown table.

A benchmark is a module here with ``run(quick: bool) -> dict`` (plain numbers that JSON can hold) and, if its results
deserve one, ``table(results) -> str`` in Markdown. The first line of its docstring is its description.
Modules whose names begin with an underscore are shared parts.
"""
