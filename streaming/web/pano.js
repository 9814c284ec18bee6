// Face chunks in, a 360 picture out: windows of frames on cube textures, played at the stream's rate.
//
// A window is filled out of sight and shown once its six faces are final, so that all change together; of the first
// one, faces are shown as they come. One whole window may wait; when another follows, the one shown is cut short.

import { Cubes } from "./cubes.js";
import { FACES } from "./cube.js";

const DECODE = { premultiplyAlpha: "none", colorSpaceConversion: "none" };

export class PanoPlayer {
  // events: acked(seq), shown(header, firstOfWindow), face(header, window), failed(error)
  constructor(canvas, events) {
    this.canvas = canvas;
    this.events = events;
    this.look = { yaw: 0, pitch: 0, roll: 0, fov: 90 };
    this.outline = true;
    this.period = 4; // frames of a window
    this.drawn = 0;
    this.era = 0; // counts resets: what was decoded for an earlier one is dropped
    this.chain = Promise.resolve();
    this._clear();
    canvas.addEventListener("webglcontextlost", (event) => (event.preventDefault(), this._clear()));
    canvas.addEventListener("webglcontextrestored", () => this._open());
    new ResizeObserver(() => (this.dirty = true)).observe(canvas);
    this._open();
    requestAnimationFrame((now) => this._tick(now));
  }

  _open() {
    const gl = this.canvas.getContext("webgl2", { alpha: false, antialias: false });
    if (!gl) throw new Error("This browser cannot show panoramas: it has no WebGL 2.");
    this.cubes = new Cubes(gl);
    this.blank = this.cubes.make(1, 1)[0];
    this.dirty = true;
  }

  _clear() {
    Object.assign(this, { media: null, spare: [], ready: [], shown: null, filling: null, index: 0, nextAt: 0 });
    this.dirty = true;
  }

  configure(media) {
    if (JSON.stringify(media) === JSON.stringify(this.media)) return; // resumed: go on where it was
    this.reset();
    this.media = media;
  }

  reset() {
    this.era += 1;
    const windows = [this.shown, this.filling, ...this.ready, ...this.spare];
    for (const one of new Set(windows)) if (one) this.cubes.free(one.cubes);
    this._clear();
  }

  set(changes) {
    Object.assign(this, changes);
    this.dirty = true;
  }

  push(header, data, cut) {
    const era = this.era;
    this.chain = this.chain.then(() => this._take(header, data, cut, era)).catch((error) => this.events.failed(error));
  }

  async _take(header, data, cut, era) {
    let at = 0;
    const blobs = header.sizes.map((size) => new Blob([new Uint8Array(data, (at += size) - size, size)], { type: "image/jpeg" }));
    const pictures = await Promise.all(blobs.map((blob) => createImageBitmap(blob, DECODE)));
    if (era === this.era && this.media) this._put(header, pictures, cut);
    for (const picture of pictures) picture.close();
    this.events.acked(header.seq);
  }

  _put(header, pictures, cut) {
    const window = this._windowOf(header);
    if (!window) return;
    const [top, left] = header.rect ?? [0, 0];
    for (const [index, cube] of window.cubes.entries()) {
      this.cubes.put(cube, header.region, pictures[Math.min(index, pictures.length - 1)], top, left);
    }
    if (header.replaces === undefined) window.made.push(header.region);
    if (header.final) window.final.add(header.region);
    window.camera = header.camera ?? window.camera;
    window.cut ||= cut || header.replay;
    window.header = { ...header, applied: [...(window.header?.applied ?? []), ...header.applied] };
    this.events.face(header, window);
    if (window === this.shown) this.dirty = true;
    if (window === this.filling && window.final.size === FACES.length) this._whole(window);
  }

  // The window a chunk belongs to; a strip whose face was lost has none.
  _windowOf(header) {
    const filling = this.filling;
    if (header.replaces !== undefined) return filling?.start === header.start && filling.made.includes(header.region) ? filling : null;
    const goesOn = filling?.start === header.start && !header.key && !filling.made.includes(header.region);
    if (goesOn) return filling;
    const next = this._fresh(header.start, filling !== this.shown ? filling : null);
    if (this.shown === null || (this.shown === filling && !filling.whole)) this._show(next); // of the first, faces as they come
    this.filling = next;
    return next;
  }

  _fresh(start, old) {
    if (old) this.spare.push(old); // it was never whole
    const cubes = this.spare.pop()?.cubes ?? this.cubes.make(this.media.width, this.period);
    return { start, cubes, made: [], final: new Set(), camera: null, cut: false, whole: false, header: null };
  }

  _whole(window) {
    window.whole = true;
    this.filling = null;
    if (window === this.shown) return;
    this.ready.push(window);
    if (window.cut) while (this.ready.length > 1) this.spare.push(this.ready.shift());
    if (window.cut || this.ready.length > 1) this._next(performance.now());
  }

  _show(window) {
    if (this.shown) this.spare.push(this.shown);
    this.shown = window;
    this.index = 0;
    this.dirty = true;
  }

  _next(now) {
    const window = this.ready.shift();
    this._show(window);
    this.nextAt = now + 1000 / this.media.fps;
    this._count(true);
  }

  _count(first) {
    this.drawn += 1;
    if (this.shown.header) this.events.shown(this.shown.header, first);
  }

  _tick(now) {
    if (this.shown && this.media && now >= this.nextAt - 4) this._step(now);
    if (this.dirty && !document.hidden) this.draw();
    requestAnimationFrame((next) => this._tick(next));
  }

  _step(now) {
    const last = this.shown.cubes.length - 1;
    const ended = this.index >= last || !this.shown.whole;
    if (ended && !this.ready.length) {
      if (!this.shown.whole) this.index = last;
      return;
    }
    if (ended) {
      this._next(now);
    } else {
      this.index += 1;
      this._count(false);
    }
    const period = 1000 / this.media.fps;
    this.nextAt = Math.max(this.nextAt, now - period) + (this.ready.length ? period / 1.1 : period);
    this.dirty = true;
  }

  draw() {
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight].map((side) => Math.max(1, Math.round(side * ratio)));
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const shown = this.shown;
    const view = this.outline ? shown?.camera ?? null : null;
    this.cubes.draw(shown ? shown.cubes[Math.min(this.index, shown.cubes.length - 1)] : this.blank, this.look, view);
    this.dirty = false;
  }

  // What is on the canvas now, for tests: [r, g, b] at a place of 0..1 from the top left.
  pixel(x, y) {
    this.draw();
    const gl = this.cubes.gl;
    const [width, height, out] = [gl.drawingBufferWidth, gl.drawingBufferHeight, new Uint8Array(4)];
    gl.readPixels(Math.floor(x * width), Math.floor((1 - y) * height), 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, out);
    return [...out.slice(0, 3)];
  }
}
