// Figures and words on the page.

const $ = (id) => document.getElementById(id);

export class Hud {
  constructor() {
    this.latencies = [];
    this.sent = new Map(); // control id -> when it was sent
    this.drawnAt = [];
  }

  status(text) {
    $("status").textContent = text;
  }

  veil(text) {
    $("veil").textContent = text;
    $("veil").hidden = !text;
  }

  format(text) {
    $("hud-format").textContent = text;
  }

  stats(message) {
    $("hud-chunk").textContent = message.chunk_ms ? `${Math.round(message.chunk_ms)} ms` : "–";
    $("hud-viewers").textContent = `${message.viewers}`;
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
      $("hud-latency").textContent = `${Math.round(sorted[sorted.length >> 1])} ms`;
      document.body.dataset.applied = id;
      document.body.dataset.latency = `${Math.round(this.latencies.at(-1))}`;
    }
    document.body.dataset.frames = total;
  }

  frame() {
    const now = performance.now();
    this.drawnAt = [...this.drawnAt.filter((t) => now - t < 2000), now];
    $("hud-fps").textContent = (this.drawnAt.length / 2).toFixed(1);
  }

  idle() {
    const now = performance.now();
    this.drawnAt = this.drawnAt.filter((t) => now - t < 2000);
    $("hud-fps").textContent = (this.drawnAt.length / 2).toFixed(1);
  }
}
