"""What every modality that makes pictures shares: frames, writers (MP4, GIF, WebP, PNG), start media, quality, sheets.

Not a modality: modalities may import this, it imports none of them.
"""
