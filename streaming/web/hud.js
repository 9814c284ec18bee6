// Figures and words of one stream. Those of the stream that has the focus are on the page.

const $ = (id) => document.getElementById(id);

export class Hud {
  // root: the element whose data say how the stream is; veil: words over its picture
  constructor(root, veil) {
    Object.assign(this, { root, over: veil, front: false });
    this.words = { status: "Connecting", "hud-fps": "–", "hud-chunk": "–", "hud-latency": "–", "hud-viewers": "–", "hud-format": "–" };
    this.latencies = [];
    this.sent = new Map(); // control id -> when it was sent
    this.drawnAt = [];
  }

  // Whether this stream has the focus.
  show(front) {
    this.front = front;
    if (front) for (const [id, text] of Object.entries(this.words)) $(id).textContent = text;
  }

  _say(id, text) {
    this.words[id] = text;
    if (this.front) $(id).textContent = text;
  }

  status(text) {
    this._say("status", text);
  }

  veil(text) {
    this.over.textContent = text;
    this.over.hidden = !text;
  }

  format(text) {
    this._say("hud-format", text);
  }

  stats(message) {
    this._say("hud-chunk", message.chunk_ms ? `${Math.round(message.chunk_ms)} ms` : "–");
    this._say("hud-viewers", `${message.viewers}`);
  }

  control(id) {
    this.sent.set(id, performance.now());
    if (this.sent.size > 64) this.sent.delete(this.sent.keys().next().value);
  }

  // The first picture of a chunk is on the canvas.
  picture(header, total) {
    const now = performance.now();
    for (const id of header.applied) {
      if (!this.sent.has(id)) continue;
      this.latencies = [...this.latencies.slice(-19), now - this.sent.get(id)];
      this.sent.delete(id);
      const sorted = [...this.latencies].sort((a, b) => a - b);
      this._say("hud-latency", `${Math.round(sorted[sorted.length >> 1])} ms`);
      this.root.dataset.applied = id;
      this.root.dataset.latency = `${Math.round(this.latencies.at(-1))}`;
    }
    this.root.dataset.frames = total;
  }

  frame() {
    this.drawnAt.push(performance.now());
    this.idle();
  }

  idle() {
    const now = performance.now();
    this.drawnAt = this.drawnAt.filter((t) => now - t < 2000);
    this._say("hud-fps", (this.drawnAt.length / 2).toFixed(1));
  }
}
