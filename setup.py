"""Maps the top-level folders under the import root `unreel`; everything else is in pyproject.toml.

`engine` and `streaming` alone would collide with other people's packages, so engine/ is installed as
`unreel.engine`, and so on. A new folder with an `__init__.py` is picked up without touching this file.
"""

from setuptools import find_packages, setup

MAPPED = ("engine", "modalities", "streaming", "configs", "benchmarks")

packages = ["unreel", *(f"unreel.{name}" for name in find_packages("unreel"))]
for folder in MAPPED:
    packages += [f"unreel.{folder}", *(f"unreel.{folder}.{name}" for name in find_packages(folder))]

DATA = ("yaml", "safetensors", "npz", "mp4", "png", "json", "html", "css", "js", "svg", "md")

setup(
    packages=packages,
    package_dir={"unreel": "unreel", **{f"unreel.{folder}": folder for folder in MAPPED}},
    package_data={"": ["py.typed", *(f"**/*.{suffix}" for suffix in DATA)]},
)
