// Forks beside the main picture: tiles with a stream each. The one that was clicked or tabbed to last has the focus.

import { Stream } from "./stream.js";
import { VideoStage } from "./stages.js";

const $ = (id) => document.getElementById(id);
const MOST = 3; // beside the main picture

// A session of one's own, in a tab of its own.
export function ownTab({ session, key }, token) {
  const words = new URLSearchParams({ session, key, ...(token && { token }) });
  window.open(`/#${words}`, "_blank", "noopener");
}

export class Siblings {
  // main: its stream; page: what every tile's stream tells: focus(stream), changed(stream), forked(stream, message);
  // url() is the server's, token() what it wants
  constructor(main, { focus, changed, forked, url, token }) {
    Object.assign(this, { main, focus, changed, forked, url, token, forks: 0, tiles: new Map() }); // stream -> its tile
    this._join(main, $("main"));
  }

  get streams() {
    return [...this.tiles.keys()];
  }

  // Why there can be no more, if so.
  get full() {
    return this.tiles.size > MOST ? `${MOST} forks are beside the main picture already: close one, or give it a tab of its own.` : "";
  }

  // A fork that waits to be resumed; it shows the picture of its parent until it has one.
  add({ session, key }, parent) {
    const tile = document.importNode($("tile").content.firstElementChild, true);
    const [canvas, veil] = [tile.querySelector("canvas"), tile.querySelector(".veil")];
    const name = `Fork ${++this.forks}`;
    const stream = new Stream(name, tile, veil, {
      configured: () => this.changed(stream, true),
      changed: () => this.changed(stream),
      forked: (message) => this.forked(stream, message),
      over: () => {},
      closing: () => false,
      failed: () => false,
      gone: () => false,
    });
    stream.stage = new VideoStage(stream.events, canvas);
    Object.assign(canvas, { width: parent.stage.canvas.width, height: parent.stage.canvas.height });
    stream.stage.player.context.drawImage(parent.stage.canvas, 0, 0);
    canvas.setAttribute("aria-label", `${name} of ${parent.name}, live. Steer with W A S D or the arrow keys.`);
    tile.querySelector(".name").textContent = `${name} of ${parent.name}`;
    this._button(tile.querySelector(".own"), `Own tab for ${name}`, () => this._part(stream, { session, key }));
    this._button(tile.querySelector(".close"), `Close ${name}`, () => this.close(stream));
    $("tiles").append(tile);
    this._join(stream, tile);
    this.hold(stream, this.tiles.get(parent).querySelector(".holds").textContent || "none");
    stream.formats = parent.formats;
    stream.setState("connecting");
    stream.open(this.url(), null, () => ({ type: "resume", session, key, last_seq: stream.lastSeq, formats: stream.formats }));
  }

  // End the session of a tile.
  close(stream) {
    stream.wire.send({ type: "end" });
    this._leave(stream);
  }

  clear() {
    this.hold(this.main, "none");
    for (const stream of this.streams.filter((one) => one !== this.main)) this.close(stream);
  }

  // The tile of the stream that has the focus is outlined.
  mark(front) {
    for (const [stream, tile] of this.tiles) {
      tile.classList.toggle("front", stream === front);
      tile.setAttribute("aria-current", `${stream === front}`);
    }
  }

  // What a tile goes on with.
  hold(stream, action) {
    this.tiles.get(stream).querySelector(".holds").textContent = action === "none" ? "" : action;
  }

  _button(button, ariaLabel, act) {
    const onclick = () => (act(), $("screen").focus({ preventScroll: true }));
    Object.assign(button, { ariaLabel, onclick });
  }

  _join(stream, tile) {
    this.tiles.set(stream, tile);
    for (const kind of ["pointerdown", "focusin"]) tile.addEventListener(kind, () => this.tiles.has(stream) && this.focus(stream));
    document.body.dataset.tiles = this.tiles.size;
  }

  _part(stream, names) {
    this._leave(stream);
    ownTab(names, this.token());
  }

  _leave(stream) {
    stream.wire.close();
    stream.stage.player.end();
    const tile = this.tiles.get(stream);
    this.tiles.delete(stream);
    tile.remove();
    document.body.dataset.tiles = this.tiles.size;
    this.focus(this.main);
    this.main.setState(this.main.root.dataset.state); // what was said of too many is over
  }
}
