"""The shipped motion model: its data, its training and its card."""
