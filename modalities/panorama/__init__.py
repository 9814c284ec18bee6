"""Panorama: a world of six cube faces around the viewer, generated face by face from a narrow view or from nothing."""
