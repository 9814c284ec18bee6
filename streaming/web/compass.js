// The compass, the net of the six faces, and the words beside them.

import { FACES, NAMES, facing, heading } from "./cube.js";

const $ = (id) => document.getElementById(id);

function sector(yaw, width, radius) {
  // an SVG path: what lies `width` degrees around `yaw`, north up
  const half = Math.min(width, 359) / 2;
  const [from, to] = [yaw - half, yaw + half].map((a) => [Math.sin((a * Math.PI) / 180), -Math.cos((a * Math.PI) / 180)]);
  const at = ([x, y]) => `${(x * radius).toFixed(2)} ${(y * radius).toFixed(2)}`;
  return `M0 0L${at(from)}A${radius} ${radius} 0 ${half > 90 ? 1 : 0} 1 ${at(to)}Z`;
}

export class Compass {
  constructor() {
    this.first = null; // face that the window under way began with
    this.face = "F";
  }

  look(look, shape) {
    const across = 2 * Math.atan(Math.tan((look.fov * Math.PI) / 360) * Math.min(1, shape)) * (180 / Math.PI);
    $("compass-look").setAttribute("d", sector(look.yaw, across, 17));
    this.face = facing(look);
    const degrees = (value) => `${Math.round(value)}°`;
    $("compass-text").textContent = `${heading(look)}, ${degrees(look.yaw)} / ${degrees(look.pitch)}`;
    for (const face of FACES) $(`face-${face}`).classList.toggle("facing", face === this.face);
    document.body.dataset.facing = this.face;
    this._gaze();
  }

  given(camera) {
    $("compass-given").setAttribute("d", camera ? sector(camera[2], camera[3], 20) : "");
    $("outline").hidden = !camera;
  }

  // A chunk has come: `made` are the faces of its window so far, in their order.
  chunk(header, made, count) {
    if (header.replaces !== undefined) return;
    this.first = made[0];
    for (const face of FACES) {
      const place = made.indexOf(face);
      $(`face-${face}`).classList.toggle("made", place >= 0);
      $(`face-${face}`).classList.toggle("making", face === header.upcoming);
      $(`place-${face}`).textContent = place >= 0 ? `${place + 1}` : "";
    }
    const making = header.upcoming ? `making ${NAMES[header.upcoming]}` : `${NAMES[header.region]} made`;
    $("faces-text").textContent = `${making}, ${made.length} of 6`;
    document.body.dataset.window = header.start;
    document.body.dataset.first = this.first;
    document.body.dataset.faces = count;
    this._gaze();
  }

  _gaze() {
    const first = this.first !== null && this.first === this.face;
    $("gaze-text").textContent = this.first === null ? "–" : first ? "where you look" : NAMES[this.first];
    $("gaze-text").classList.toggle("good", first);
  }
}
