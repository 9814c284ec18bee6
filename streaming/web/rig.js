// The stage for rigs: a mesh one sees through, joints and bones as they come, at last the skin, which sways.

import { RowPlayer } from "./rows.js";
import { theSpace } from "./space.js";
import * as THREE from "./vendor/three.min.js";

const MOST = 256; // joints
const SWAY = (14 * Math.PI) / 180; // to either side
const TURN_S = 4; // two sways
const [ROOT, JOINT, NEWEST, BONE] = [0xe5b567, 0xe4604f, 0x7fc8a9, 0xf0d9a8];

export class RigStage {
  // events as RowPlayer's
  constructor(events) {
    this.space = theSpace();
    this.step = 1;
    this.glb = null; // the finished rig
    this.player = new RowPlayer(events, { load: (glb) => this._load(glb), show: (row) => this._show(row) });
  }

  configured() {
    this.space.canvas.stage = this; // for tests, and for the curious
    this.glb = null;
    delete document.body.dataset.skin;
  }

  clear() {
    this.player.reset();
    this.space.clear();
  }

  back() {
    return null;
  }

  async _load(glb) {
    this.model = await this.space.show(glb);
    for (const mesh of this.model.meshes) {
      mesh.material = [mesh.material].flat()[0].clone();
      Object.assign(mesh.material, { transparent: true, opacity: 0.38, depthWrite: false });
    }
    this._marks();
  }

  // The spheres and bones, over everything else.
  _marks() {
    const plain = { depthTest: false, transparent: true, opacity: 0.95, fog: false };
    this.spheres = new THREE.InstancedMesh(new THREE.SphereGeometry(1, 16, 12), new THREE.MeshBasicMaterial(plain), MOST);
    this.bones = new THREE.InstancedMesh(wedge(), new THREE.MeshStandardMaterial({ ...plain, color: BONE, roughness: 0.6 }), MOST);
    [this.bones, this.spheres].forEach((one, order) => Object.assign(one, { count: 0, frustumCulled: false, renderOrder: 1 + order }));
    this.space.content.add(this.bones, this.spheres);
  }

  // All joints so far: index, parent, x, y, z each; the last is the newest.
  _show(row) {
    this.joints = Array.from({ length: row.length / 5 }, (_, k) => ({ parent: row[5 * k + 1], place: new THREE.Vector3().fromArray(row, 5 * k + 2) }));
    this._place(this.joints.map((joint) => joint.place), this.joints.length - 1);
    document.body.dataset.joints = this.joints.length;
  }

  _place(places, newest) {
    const [matrix, turn, up] = [new THREE.Matrix4(), new THREE.Quaternion(), new THREE.Vector3(0, 1, 0)];
    const size = 0.011 * this.space.size;
    let bones = 0;
    this.joints.slice(0, MOST).forEach(({ parent }, joint) => {
      const near = parent < 0 ? size : 0.4 * places[joint].distanceTo(places[parent]);
      const [place, radius] = [places[joint], joint === newest ? 1.7 * size : Math.min(size, Math.max(near, 0.35 * size))];
      this.spheres.setMatrixAt(joint, matrix.compose(place, turn.identity(), new THREE.Vector3(radius, radius, radius)));
      this.spheres.setColorAt(joint, new THREE.Color(joint === newest ? NEWEST : parent < 0 ? ROOT : JOINT));
      if (parent < 0) return;
      const way = place.clone().sub(places[parent]);
      const [length, width] = [way.length(), Math.min(0.9 * size, 0.12 * way.length())];
      turn.setFromUnitVectors(up, way.normalize());
      this.bones.setMatrixAt(bones++, matrix.compose(places[parent], turn, new THREE.Vector3(width, length, width)));
    });
    Object.assign(this.spheres, { count: Math.min(this.joints.length, MOST) });
    Object.assign(this.bones, { count: bones });
    this.spheres.instanceMatrix.needsUpdate = this.spheres.instanceColor.needsUpdate = this.bones.instanceMatrix.needsUpdate = true;
    this.space.dirty = true;
  }

  // The session is over: show the rig that `url` gives, and let it sway. Returns its joints.
  async finished(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error?.message ?? answer.statusText);
    this.glb = await answer.arrayBuffer();
    this.model = await this.space.show(this.glb, true);
    this._marks();
    const bones = this.model.bones;
    this.rest = bones.map((bone) => bone.quaternion.clone());
    this.depths = bones.map((bone) => depth(bone));
    this.space.each = (now) => this.sway((now % TURN_S) / TURN_S);
    document.body.dataset.skin = bones.length;
    return bones.length;
  }

  // All joints but the root turn, deeper ones later; `part` 0..1 of a round.
  sway(part) {
    const [turn, axis] = [new THREE.Quaternion(), new THREE.Vector3(1, 0, 0)];
    this.model.bones.forEach((bone, joint) => {
      if (joint === 0) return;
      turn.setFromAxisAngle(axis, SWAY * Math.sin(2 * Math.PI * (2 * part - 0.1 * this.depths[joint])));
      bone.quaternion.multiplyQuaternions(turn, this.rest[joint]);
    });
    this.model.scene.updateMatrixWorld(true);
    this.joints = this.model.bones.map((bone) => ({ parent: this.model.bones.indexOf(bone.parent) }));
    this._place(this.model.bones.map((bone) => new THREE.Vector3().setFromMatrixPosition(bone.matrixWorld)), -1);
    return true;
  }
}

function depth(bone) {
  return bone.parent?.isBone ? 1 + depth(bone.parent) : 0;
}

// A bone from 0 to 1 along y, thickest near its beginning.
function wedge() {
  const lower = new THREE.CylinderGeometry(1, 0.15, 0.2, 6).translate(0, 0.1, 0);
  const upper = new THREE.CylinderGeometry(0.15, 1, 0.8, 6).translate(0, 0.6, 0);
  const joined = new THREE.BufferGeometry();
  const offset = lower.attributes.position.count;
  joined.setIndex([...lower.index.array, ...[...upper.index.array].map((corner) => corner + offset)]);
  for (const name of ["position", "normal"]) {
    joined.setAttribute(name, new THREE.BufferAttribute(new Float32Array([...lower.attributes[name].array, ...upper.attributes[name].array]), 3));
  }
  return joined;
}
