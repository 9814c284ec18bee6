// One stream on the page: a session's wire, the stage that shows it and its figures. Which of them has the focus, and
// what the page does about the end of one, is others' business.

import { Hud } from "./hud.js";
import { Wire } from "./wire.js";

const STATES = { connecting: "Connecting", open: "Starting", playing: "Live", paused: "Paused", over: "Ended" };
const RESTARTED = "The world was over: a new one begins";
const ENDS = { replaced: "Resumed somewhere else.", shutdown: "The server is going down.",
  idle: "Ended: nobody was there.", finished: "The film is over." };

export class Stream {
  // root: the element whose data say how the stream is; veil: words over its picture. The page is told with
  // configured(message) (false: not to be shown here), forked(message), changed() and over(), and asked with
  // closing(message), failed(message) and gone() whether it deals with that itself.
  constructor(name, root, veil, page) {
    Object.assign(this, { name, root, page, stage: null, formats: ["jpeg"] });
    this.hud = new Hud(root, veil);
    this.ours = new Set(); // controls whose first picture is to be shown at once
    this.wire = new Wire("", { message: (message, data) => this._message(message, data), state: (...how) => this._state(...how) });
    this.events = {
      acked: (seq) => seq <= (this.lastSeq ?? -1) && this.wire.send({ type: "ack", seq }), // not of a session before
      shown: (header, first) => this._shown(header, first),
      failed: (error) => this._undecodable(error),
    };
    this.forget();
  }

  // Nothing is known of the session any more.
  forget() {
    Object.assign(this, { configured: null, lastSeq: null, paused: false, chunk: 0 });
  }

  get owned() {
    return this.configured?.role === "owner";
  }

  // `resume`: what to say instead of the hello, now and after a lost connection.
  open(url, hello, resume) {
    Object.assign(this.wire, { url, resume });
    this.wire.open(hello);
  }

  // `quiet`: nobody asked for it, so how long it takes is no figure.
  control(kind, value = null, quiet = false) {
    if (!this.owned) return null;
    const id = this.wire.control(kind, value);
    if (!quiet) this.hud.control(id);
    if (kind !== "camera") this.ours.add(id); // a glance is no reason to skip frames
    return id;
  }

  setState(state, text = "") {
    this.root.dataset.state = state;
    this.hud.status(text || STATES[state] || state);
  }

  over(text) {
    this.page.over();
    this.setState("over");
    this.hud.veil(text);
  }

  _shown(header, first) {
    this.hud.frame();
    this.hud.picture(first ? header : { applied: [] }, this.stage.player.drawn);
    if (this.root.dataset.state === "open") this.setState("playing");
  }

  _undecodable(error) {
    if (this.formats.length === 1) return this.over(`The picture cannot be shown: ${error.message}`);
    this.formats = this.formats.slice(1); // this browser cannot decode it after all
    this.lastSeq = null;
    this.stage.player.reset();
    this.wire.socket?.close();
  }

  _state(state, text) {
    if (state === "lost") this.setState("connecting", "Connection lost, trying again");
    if (state !== "over" || this.page.gone()) return;
    if (this.root.dataset.state !== "over") this.over(text || "The connection is closed.");
  }

  _message(message, data) {
    const handlers = {
      queued: () => {
        this.setState("queued", `Waiting for a place: number ${message.position}`);
        this.hud.veil(`All places are taken. You are number ${message.position}.`);
      },
      configured: () => this._configured(message),
      media: () => {
        this.stage.player.configure(message, data);
        this.hud.format(message.format === "rows" ? message.layout : `${message.format} ${message.width}×${message.height}`);
      },
      chunk: () => {
        this.lastSeq = message.seq;
        this.chunk = message.chunk;
        const cut = message.applied.some((id) => this.ours.delete(id));
        this.stage.player.push(message, data, cut);
        if (!message.replay && message.applied.includes(`restart-${message.chunk}`)) this._restarted();
      },
      control: () => this._control(message),
      forked: () => this.page.forked(message),
      stats: () => (this.hud.stats(message), this.hud.idle()),
      error: () => {
        if (this.page.failed(message)) return;
        this.hud.status(message.message);
        if (!this.configured || message.code === "failed" || message.code === "encoder") this.over(message.message);
      },
      closing: () => {
        if (message.session_kept || this.page.closing(message)) return;
        this.over(ENDS[message.reason] ?? (message.message || "Ended."));
      },
    };
    handlers[message.type]?.();
  }

  // The engine has begun a new world by itself.
  _restarted() {
    this.hud.status(RESTARTED);
    setTimeout(() => this.hud.words.status === RESTARTED && this.hud.status(STATES[this.root.dataset.state]), 4000);
  }

  _configured(message) {
    this.configured = message;
    if (this.page.configured(message) === false) return;
    this.stage.configured(message.model);
    this.hud.veil("");
    this.root.dataset.session = message.session;
    this._pause(message.paused);
    if (!message.paused) this.setState("open");
  }

  _control(message) {
    this.root.dataset.control = `${message.kind} ${message.status}`;
    if (message.status === "rejected") this.hud.status(message.reason);
    if (message.status === "rejected" || message.status === "replaced") this.ours.delete(message.id);
    if (message.status === "applied" && (message.kind === "pause" || message.kind === "resume")) {
      this._pause(message.kind === "pause");
    }
  }

  _pause(value) {
    this.paused = value;
    if (this.configured) this.setState(value ? "paused" : "playing");
    this.page.changed();
  }
}
