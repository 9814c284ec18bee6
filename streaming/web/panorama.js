// The stage for panoramas: player, look, compass, gaze and the given view, behind the same few calls as a video's.

import { Compass } from "./compass.js";
import { facing } from "./cube.js";
import { Look } from "./look.js";
import { PanoPlayer } from "./pano.js";

const $ = (id) => document.getElementById(id);
const GAZE_MS = 250; // between two gaze controls

export class PanoramaStage {
  // events as PanoPlayer's; control(kind, value, quiet) sends one
  constructor(events, control) {
    this.control = control;
    this.canvas = $("pano");
    this.compass = new Compass();
    this.count = 0;
    this.sent = null; // the face that the server knows we look at
    this.gazes = false;
    this.step = 6; // chunks of a window
    this.timer = null;
    this.ends = new Map(); // window start -> its last face's chunk, to rewind to
    this.player = new PanoPlayer(this.canvas, { ...events, face: (header, window) => this._face(header, window) });
    this.look = new Look(this.canvas, (look) => this._looked(look));
    this.canvas.look = this.look; // for tests, and for the curious
    this.canvas.player = this.player;
    this._buttons();
    this._looked({ yaw: 0, pitch: 0, roll: 0, fov: 90 });
  }

  configured(model) {
    this.player.period = model.frames_per_chunk;
    this.gazes = model.controls.includes("camera");
    this.sent = null;
    this.ends.clear();
    this.look.set({});
    this._gaze();
  }

  // The chunk to rewind to for the picture of `seconds` ago.
  back(seconds, { fps }) {
    const starts = [...this.ends.keys()].sort((a, b) => a - b);
    const newest = starts.at(-1) ?? 0;
    const wanted = starts.filter((start) => start <= newest - seconds * fps).at(-1) ?? starts[0];
    return this.ends.get(wanted) ?? null;
  }

  _face(header, window) {
    this.count += 1;
    this.compass.chunk(header, window.made, this.count);
    this.compass.given(window.camera);
    document.body.dataset.camera = window.camera ? window.camera.join(" ") : "";
    if (header.replaces !== undefined || window.made.length < 6) return;
    for (const start of this.ends.keys()) if (start > header.start) this.ends.delete(start);
    this.ends.set(header.start, header.chunk);
    while (this.ends.size > 16) this.ends.delete(this.ends.keys().next().value);
  }

  _looked(look) {
    this.player.set({ look });
    this.compass.look(look, this.canvas.clientWidth / Math.max(1, this.canvas.clientHeight));
    const labels = [`The world around you, live. Looking ${$("compass-text").textContent}.`, "Drag or use the arrow keys to turn."];
    this.canvas.setAttribute("aria-label", labels.join(" "));
    this._gaze();
  }

  // Tell the server which face is looked at, when that changes and not too often.
  _gaze() {
    if (!this.gazes || this.timer !== null || facing(this.look ?? { yaw: 0, pitch: 0 }) === this.sent) return;
    const first = this.sent === null;
    this.sent = facing(this.look);
    this.control("camera", [this.look.yaw, this.look.pitch].map((angle) => Math.round(angle * 10) / 10), first);
    document.body.dataset.gaze = this.sent;
    this.timer = setTimeout(() => ((this.timer = null), this._gaze()), GAZE_MS);
  }

  _buttons() {
    $("outline").onclick = () => {
      this.player.set({ outline: !this.player.outline });
      $("outline").setAttribute("aria-pressed", `${this.player.outline}`);
    };
    $("wider").onclick = () => this.look.zoom(1 / 0.85);
    $("closer").onclick = () => this.look.zoom(0.85);
    $("ahead").onclick = () => this.look.set({ yaw: 0, pitch: 0, roll: 0, fov: 90 });
    $("hold").hidden = !window.DeviceOrientationEvent || !matchMedia("(pointer: coarse)").matches;
    $("hold").onclick = async () => {
      const on = $("hold").getAttribute("aria-pressed") !== "true" && (await this.look.follow());
      if (!on) this.look.unfollow();
      $("hold").setAttribute("aria-pressed", `${on}`);
    };
  }
}
