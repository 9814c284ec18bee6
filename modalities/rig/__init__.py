"""Rigs: a mesh in, a skeleton and a skin out, joint by joint."""
