// Where somebody looks: drag, touch, pinch, wheel, keys, and the way a phone is held. Knows nothing of pictures.

import { wrap } from "./cube.js";

const rad = Math.PI / 180;
const STEP = 5; // degrees a key turns
export const FOV = { least: 30, most: 120 };

const clamp = (value, least, most) => Math.max(least, Math.min(most, value));

export function held({ alpha, beta, gamma }, screen) {
  // Where the back of a phone looks, from its orientation (W3C: Z-X'-Y'') and the turn of its screen, all in degrees.
  const [sa, ca, sb, cb, sg, cg] = [alpha, beta, gamma].flatMap((a) => [Math.sin(a * rad), Math.cos(a * rad)]);
  const across = [ca * cg - sa * sb * sg, sa * cg + ca * sb * sg, -cb * sg]; // the device's own X, Y and Z
  const along = [-sa * cb, ca * cb, sb]; // in the world: east, north, up
  const out = [ca * sg + sa * sb * cg, sa * sg - ca * sb * cg, cb * cg];
  const [ss, cs] = [Math.sin(screen * rad), Math.cos(screen * rad)];
  const right = across.map((v, i) => v * cs - along[i] * ss);
  const pitch = Math.asin(clamp(-out[2], -1, 1)) / rad;
  const yaw = Math.atan2(-out[0], -out[1]) / rad;
  const level = [Math.cos(yaw * rad), -Math.sin(yaw * rad), 0]; // what would be right if it were held level
  const up = Math.cos(pitch * rad);
  const roll = Math.atan2(-right[2] / Math.max(up, 1e-6), right[0] * level[0] + right[1] * level[1]) / rad;
  return { yaw: wrap(yaw), pitch, roll: Math.abs(pitch) > 80 ? 0 : roll };
}

export class Look {
  // changed({ yaw, pitch, roll, fov }) is called with every change
  constructor(canvas, changed) {
    Object.assign(this, { canvas, changed, yaw: 0, pitch: 0, roll: 0, fov: 90, zero: null });
    this.pointers = new Map();
    canvas.addEventListener("pointerdown", (event) => this._down(event));
    canvas.addEventListener("pointermove", (event) => this._move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("wheel", (event) => (event.preventDefault(), this.zoom(Math.exp(event.deltaY * 0.001))), { passive: false });
    canvas.addEventListener("keydown", (event) => this._key(event));
    this.turned = (event) => this._turned(event);
  }

  set({ yaw = this.yaw, pitch = this.pitch, roll = this.roll, fov = this.fov }) {
    Object.assign(this, { yaw: wrap(yaw), pitch: clamp(pitch, -90, 90), roll, fov: clamp(fov, FOV.least, FOV.most) });
    this.changed({ yaw: this.yaw, pitch: this.pitch, roll: this.roll, fov: this.fov });
  }

  zoom(factor) {
    this.set({ fov: this.fov * factor });
  }

  // A phone: follow how it is held. Resolves to whether that works here.
  async follow() {
    const kind = window.DeviceOrientationEvent;
    if (!kind) return false;
    if (kind.requestPermission && (await kind.requestPermission().catch(() => "denied")) !== "granted") return false;
    this.zero = null;
    window.addEventListener("deviceorientation", this.turned);
    return true;
  }

  unfollow() {
    window.removeEventListener("deviceorientation", this.turned);
    this.set({ roll: 0 });
  }

  _turned(event) {
    if (event.alpha === null || this.pointers.size) return;
    const way = held(event, screen.orientation?.angle ?? 0);
    this.zero ??= this.yaw - way.yaw; // begins where one looks already
    this.set({ yaw: way.yaw + this.zero, pitch: way.pitch, roll: way.roll });
  }

  _down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  _move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    this.pointers.set(event.pointerId, now);
    if (others.length) {
      const far = ([x, y]) => Math.max(10, Math.hypot(x - others[0][0], y - others[0][1]));
      this.zoom(far(before) / far(now));
      return;
    }
    const degrees = this.fov / Math.max(this.canvas.clientWidth, this.canvas.clientHeight, 1);
    const lean = Math.max(0.3, Math.cos(this.pitch * rad));
    this.set({ yaw: this.yaw - ((now[0] - before[0]) * degrees) / lean, pitch: this.pitch + (now[1] - before[1]) * degrees });
    if (this.zero !== null) this.zero = null;
  }

  _key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const turns = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
    const zooms = { "+": 0.9, "=": 0.9, "-": 1 / 0.9 };
    if (turns[event.key]) this.set({ yaw: this.yaw + turns[event.key][0], pitch: this.pitch + turns[event.key][1] });
    else if (zooms[event.key]) this.zoom(zooms[event.key]);
    else if (event.key === "Home") this.set({ yaw: 0, pitch: 0, fov: 90 });
    else return;
    event.preventDefault();
  }
}
