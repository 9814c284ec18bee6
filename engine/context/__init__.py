"""Context: what finished chunks left behind, and what of it is kept."""
