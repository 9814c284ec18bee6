"""What a session is sent: the mesh to be rigged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from unreel.engine.errors import UserError
from unreel.modalities.rig.subject import POINTS, Subject, subject_of
from unreel.modalities.skeleton.mesh import Mesh


class MeshControl:
    """A `Mesh`, a `Subject`, or what `check` made of one; no path, since controls may come from afar.

    Takes effect with the first joint.
    """

    def check(self, value: Any) -> dict[str, torch.Tensor]:
        """``surface`` (1024, 6): points and normals in the unit box; ``box`` (4,): its centre and size.

        Raises:
            UserError: a mesh that nothing can be done with.
        """
        if isinstance(value, Mapping):
            return self._checked(value)
        if isinstance(value, Mesh):
            value = subject_of(value)
        if not isinstance(value, Subject):
            raise UserError(f"mesh takes a Mesh (see load_mesh) or a Subject, got {type(value).__name__}")
        box = torch.tensor([*value.box.centre, value.box.size], dtype=torch.float64)
        return self._checked({"surface": torch.from_numpy(np.ascontiguousarray(value.surface)), "box": box})

    @staticmethod
    def _checked(value: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        surface, box = (torch.as_tensor(value.get(name, ())) for name in ("surface", "box"))
        if surface.shape != (POINTS, 6) or box.shape != (4,) or not (surface.isfinite().all() and box[3] > 0):
            raise UserError(f"a mesh is told as surface ({POINTS}, 6) and box (4,), finite and of some size")
        return {"surface": surface, "box": box}
