// Forks beside the main picture: tiles with a stream each. The one that was clicked or tabbed to last has the focus.

import { Stream } from "./stream.js";
import { VideoStage } from "./stages.js";

const $ = (id) => document.getElementById(id);
const MOST = 3; // beside the main picture
const KEPT = "forks"; // in this tab's storage: what a reload shows again

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
    this.kept = new Map(); // stream -> what it is called and opened with
    this.before = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
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
    const name = `Fork ${++this.forks}`;
    const stream = this._tile({ session, key, name, of: parent.name }, parent.formats);
    const { canvas, player } = stream.stage;
    Object.assign(canvas, { width: parent.stage.canvas.width, height: parent.stage.canvas.height });
    player.context.drawImage(parent.stage.canvas, 0, 0);
    this.hold(stream, this.tiles.get(parent).querySelector(".holds").textContent || "none");
  }

  // The forks there were before a reload, as far as they live.
  restore() {
    for (const one of this.before) {
      this.forks = Math.max(this.forks, Number(one.name.split(" ")[1]));
      this._tile(one, this.main.formats);
    }
  }

  _tile({ session, key, name, of }, formats) {
    const tile = document.importNode($("tile").content.firstElementChild, true);
    const [canvas, veil] = [tile.querySelector("canvas"), tile.querySelector(".veil")];
    const stream = new Stream(name, tile, veil, {
      configured: () => this.changed(stream, true),
      changed: () => this.changed(stream),
      forked: (message) => this.forked(stream, message),
      over: () => {},
      closing: () => false,
      failed: ({ code }) => code === "unknown_session" && (this._leave(stream), true),
      gone: () => false,
    });
    stream.stage = new VideoStage(stream.events, canvas);
    canvas.setAttribute("aria-label", `${name} of ${of}, live. Steer with W A S D or the arrow keys.`);
    tile.querySelector(".name").textContent = `${name} of ${of}`;
    this._button(tile.querySelector(".own"), `Own tab for ${name}`, () => this._part(stream, { session, key }));
    this._button(tile.querySelector(".close"), `Close ${name}`, () => this.close(stream));
    $("tiles").append(tile);
    this.kept.set(stream, { session, key, name, of });
    this._join(stream, tile);
    stream.formats = formats;
    stream.setState("connecting");
    stream.open(this.url(), null, () => ({ type: "resume", session, key, last_seq: stream.lastSeq, formats: stream.formats }));
    return stream;
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
    this._count();
  }

  _count() {
    document.body.dataset.tiles = this.tiles.size;
    sessionStorage.setItem(KEPT, JSON.stringify([...this.kept.values()]));
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
    this.kept.delete(stream);
    tile.remove();
    this._count();
    this.focus(this.main);
    this.main.setState(this.main.root.dataset.state); // what was said of too many is over
  }
}
