"""Reuse: whether the output of an earlier step may stand in for this one."""
