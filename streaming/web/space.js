// A space to look around in: one scene on one canvas, a ground with a grid, a camera to orbit and to follow with.
// Drawn only when something has changed.

import * as THREE from "./vendor/three.min.js";

const GROUND = 0x11171d;
const FAR = 40; // cells of the grid to either side

export class Space {
  constructor(canvas) {
    this.canvas = canvas;
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true });
    this.scene = new THREE.Scene();
    this.scene.background = new THREE.Color(GROUND);
    this.camera = new THREE.PerspectiveCamera(35, 1, 0.01, 1000);
    this.controls = new THREE.OrbitControls(this.camera, canvas);
    this.controls.enableDamping = true;
    this.controls.maxPolarAngle = Math.PI * 0.55;
    this.controls.listenToKeyEvents(canvas);
    this.controls.addEventListener("change", () => (this.dirty = true));
    const sun = new THREE.DirectionalLight(0xffffff, 2.2);
    sun.position.set(1.5, 3, 2);
    this.scene.add(new THREE.HemisphereLight(0xdfe9f2, 0x39424b, 1.6), sun);
    this.ground = null;
    this.content = null;
    this.goal = null; // what the camera goes along with
    this.size = 1;
    this.each = null; // called before every picture with seconds; true: there is something new
    this.loader = new THREE.GLTFLoader();
    new ResizeObserver(() => (this.dirty = true)).observe(canvas);
    requestAnimationFrame((now) => this._tick(now));
  }

  clear() {
    for (const one of [this.content, this.ground]) {
      if (one) this.scene.remove(one), one.traverse(dispose);
    }
    this.content = this.ground = this.goal = this.each = null;
    this.dirty = true;
  }

  // A GLB's scene instead of what was there; the camera is set in front of it unless `stay`.
  async show(glb, stay = false) {
    const { scene } = await this.loader.parseAsync(glb, "");
    this.clear();
    const found = { scene, meshes: [], bones: [] };
    scene.traverse((one) => {
      if (!one.isMesh) return;
      one.frustumCulled = false; // a skin is not where its mesh was
      found.meshes.push(one);
      if (one.isSkinnedMesh) found.bones = one.skeleton.bones;
    });
    scene.updateMatrixWorld(true);
    const box = new THREE.Box3().setFromObject(scene);
    this.content = scene;
    this.scene.add(scene);
    this._stand(box, stay);
    return found;
  }

  _stand(box, stay) {
    const [middle, extent] = [box.getCenter(new THREE.Vector3()), box.getSize(new THREE.Vector3())];
    this.size = Math.max(extent.x, extent.y, extent.z, 1e-6);
    this.cell = 10 ** Math.floor(Math.log10(this.size)) / 2;
    this.ground = new THREE.Group();
    this.ground.add(grid(this.cell, box.min.y - 1e-3 * this.size));
    this.scene.add(this.ground);
    this.scene.fog = new THREE.Fog(GROUND, 4 * this.size, Math.max(9 * this.size, 0.8 * FAR * this.cell));
    this.camera.near = this.size / 100;
    this.camera.far = this.size * 100;
    this.controls.minDistance = this.size / 4;
    this.controls.maxDistance = this.size * 5;
    if (!stay) {
      const aspect = this.canvas.clientWidth / Math.max(1, this.canvas.clientHeight);
      const half = Math.max(0.6 * extent.y, (0.55 * Math.max(extent.x, extent.z)) / aspect);
      const away = half / Math.tan((this.camera.fov * Math.PI) / 360);
      const from = new THREE.Vector3(0.5, 0.42, 0.82).normalize().multiplyScalar(away + this.size * 0.3);
      this.controls.target.copy(middle);
      this.camera.position.copy(middle).add(from);
    }
    this.camera.updateProjectionMatrix();
    this.dirty = true;
  }

  // Go along with a point: x and z of what is looked at, softly.
  follow(x, z) {
    this.goal = [x, z];
    this.ground?.position.set(Math.round(x / this.cell) * this.cell, 0, Math.round(z / this.cell) * this.cell);
    this.dirty = true;
  }

  _tick(now) {
    if (this.goal) {
      const { target } = this.controls;
      const move = new THREE.Vector3(this.goal[0] - target.x, 0, this.goal[1] - target.z);
      const share = move.length() > 4 * this.size ? 1 : 0.12;
      if (move.length() > 1e-4 * this.size) {
        target.addScaledVector(move, share);
        this.camera.position.addScaledVector(move, share);
        this.dirty = true;
      }
    }
    this.controls.update();
    if (this.each?.(now / 1000)) this.dirty = true;
    if (this.dirty && !document.hidden && !this.canvas.hidden) this.draw();
    requestAnimationFrame((next) => this._tick(next));
  }

  draw() {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight].map((side) => Math.max(1, side));
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    if (this.canvas.width !== Math.floor(width * ratio) || this.canvas.height !== Math.floor(height * ratio)) {
      this.renderer.setPixelRatio(ratio);
      this.renderer.setSize(width, height, false);
      this.camera.aspect = width / height;
      this.camera.updateProjectionMatrix();
    }
    this.renderer.render(this.scene, this.camera);
    this.dirty = false;
  }
}

// Lines on the ground, cut into cells: some renderers lose a line that begins behind the camera.
function grid(cell, height) {
  const [points, steps] = [[], Array.from({ length: 2 * FAR + 1 }, (_, k) => (k - FAR) * cell)];
  for (const across of steps) {
    for (const along of steps.slice(1)) {
      points.push(across, height, along - cell, across, height, along, along - cell, height, across, along, height, across);
    }
  }
  const lines = new THREE.BufferGeometry();
  lines.setAttribute("position", new THREE.BufferAttribute(new Float32Array(points), 3));
  return new THREE.LineSegments(lines, new THREE.LineBasicMaterial({ color: 0x33404b }));
}

function dispose(one) {
  one.geometry?.dispose();
  for (const material of [one.material ?? []].flat()) {
    for (const value of Object.values(material)) if (value?.isTexture) value.dispose();
    material.dispose();
  }
}

let space = null;

// The one space of the page.
export function theSpace() {
  space ??= new Space(document.getElementById("space"));
  return space;
}
