"""Trains `doom`: plays the game, learns features, learns to forecast them."""
