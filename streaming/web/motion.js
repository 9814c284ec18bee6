// The stage for motions: a rig that is posed row by row, a camera that goes along, and paths to choose.

import { RowPlayer } from "./rows.js";
import { theSpace } from "./space.js";
import * as THREE from "./vendor/three.min.js";

const $ = (id) => document.getElementById(id);
const BESIDE = 2; // metres: the radius of the circle, half a side of the square
const FAR = 500; // metres: straight on
const SEEN = 60; // metres of a path that are drawn, in steps of half a metre

export class MotionStage {
  // events as RowPlayer's; control(kind, value) sends one
  constructor(events, control) {
    this.space = theSpace();
    this.step = 1;
    this.control = control;
    this.here = null; // where the newest chunk leaves the body, in metres, and its root in the space
    this.line = null;
    this.player = new RowPlayer(events, { load: (glb, media) => this._load(glb, media), show: (row, entry) => this._show(row, entry) });
    $("paths").onclick = (event) => event.target.dataset.path && this._choose(event.target.dataset.path);
  }

  configured(model) {
    this.space.canvas.stage = this; // for tests, and for the curious
    $("paths").hidden = !model.controls.includes("path");
    this._mark(null);
    this.here = null;
  }

  clear() {
    this.player.reset();
    this.space.clear();
    this.line = this.here = null;
  }

  // The chunk to rewind to for the pose of `seconds` ago.
  back(seconds, { fps, frames_per_chunk: frames }, chunk) {
    return Math.max(0, chunk - Math.round((seconds * fps) / frames));
  }

  async _load(glb, media) {
    this.model = await this.space.show(glb);
    this.ahead = media.ahead ?? [0, 1];
    this.line = null;
    this.last = -1;
    document.body.dataset.joints = this.model.bones.length;
  }

  _show(row, { header, end }) {
    pose(this.model.bones, row);
    this.row = row;
    this.space.follow(row[0], row[2]);
    if (header.chunk < this.last) this._mark(null); // what was rewound may not have been told
    this.last = header.chunk;
    if (header.here) this.here = { body: header.here, root: [end[0], end[2]] };
    document.body.dataset.place = `${row[0].toFixed(2)} ${row[2].toFixed(2)}`;
  }

  _choose(name) {
    if (!this.here) return;
    const path = PATHS[name]?.(...this.here.body) ?? null;
    if (this.control("path", path) === null) return;
    this._mark(path, name);
  }

  // A line on the ground where the path leads: metres of the body as the rig walks them.
  _mark(path, name = "free") {
    for (const button of $("paths").querySelectorAll("button")) button.setAttribute("aria-pressed", `${button.dataset.path === name}`);
    if (this.line) this.space.content?.remove(this.line), this.line.geometry.dispose();
    this.line = null;
    this.space.dirty = true;
    if (!path || !this.here) return;
    const { body, root } = this.here;
    const [x, z] = this.ahead;
    const points = stepped([...path.points, ...(path.closed ? [path.points[0]] : [])]).map(([px, pz]) => {
      const [dx, dz] = [px - body[0], pz - body[1]];
      return new THREE.Vector3(root[0] + dz * x + dx * z, 0.004 * this.space.size, root[1] + dz * z - dx * x);
    });
    this.line = new THREE.Line(new THREE.BufferGeometry().setFromPoints(points), new THREE.LineBasicMaterial({ color: 0x7fc8a9 }));
    this.line.frustumCulled = false;
    this.space.content.add(this.line);
  }
}

// The beginning of a path, point by point.
function stepped(corners) {
  const points = [corners[0]];
  let left = SEEN;
  for (let k = 1; k < corners.length && left > 0; k++) {
    const [from, to] = [corners[k - 1], corners[k]];
    const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
    const steps = Math.max(1, Math.ceil(2 * Math.min(length, left)));
    const share = Math.min(1, left / Math.max(length, 1e-9));
    for (let n = 1; n <= steps; n++) points.push(from.map((start, axis) => start + ((share * n) / steps) * (to[axis] - start)));
    left -= length;
  }
  return points;
}

// Set the joints as a row says: the root's place, then every joint's local rotation.
export function pose(bones, row) {
  bones[0].position.fromArray(row, 0);
  bones.forEach((bone, joint) => bone.quaternion.fromArray(row, 3 + 4 * joint));
}

// Paths that begin at x, z with a heading in degrees; sides are to the left.
export const PATHS = {
  straight: (x, z, heading) => ({ points: [[x, z], at(x, z, heading, FAR, 0)] }),
  circle: (x, z, heading) => ({
    closed: true,
    points: Array.from({ length: 48 }, (_, k) => {
      const turn = (2 * Math.PI * k) / 48;
      return at(x, z, heading, BESIDE * Math.sin(turn), BESIDE * (1 - Math.cos(turn)));
    }),
  }),
  square: (x, z, heading) => ({
    closed: true,
    points: [[0, 0], [BESIDE, 0], [BESIDE, 2 * BESIDE], [-BESIDE, 2 * BESIDE], [-BESIDE, 0]].map((way) => at(x, z, heading, ...way)),
  }),
};

function at(x, z, heading, forward, left) {
  const [sin, cos] = [Math.sin((heading * Math.PI) / 180), Math.cos((heading * Math.PI) / 180)];
  return [x + forward * sin + left * cos, z + forward * cos - left * sin];
}
