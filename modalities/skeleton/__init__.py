"""What rigs and motion share: meshes, skeletons, skins, clips and motions; their files, pictures and training folders.

Not a modality: modalities may import this, it imports none of them but `media`. Everywhere: right-handed, Y up, metres,
+Z forward, quaternions xyzw, matrices for column vectors.
"""
