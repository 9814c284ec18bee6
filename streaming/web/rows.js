// Chunks of float32 rows in, one pose (or all joints so far) at a time out; the GLB that they are about comes first.

import { Paced } from "./paced.js";

const BUFFER_MS = 70; // a pose that found nobody waiting waits so long, so that the next ones come in time

export class RowPlayer extends Paced {
  // events: Paced's, and failed(error); load(glb, media) shows the GLB; show(row, entry) a pose, or all joints
  constructor(events, { load, show }) {
    super(events);
    this.load = load;
    this.show = show;
    this.skips = true;
    this.media = null;
    this.era = 0; // counts resets: what came for an earlier one is dropped
    this.chain = Promise.resolve();
  }

  configure(media, glb) {
    if (JSON.stringify(media) === JSON.stringify(this.media)) return; // resumed: go on where it was
    this.reset();
    this.media = media;
    this.fps = media.fps;
    this._after(() => this.load(glb, media));
  }

  reset() {
    this.era += 1;
    this.media = null;
    this.forget();
  }

  push(header, data, cut) {
    const { width, layout } = this.media;
    this._after(() => {
      const values = new Float32Array(data);
      if (layout === "joints") return this._put({ row: values, header, index: 0, count: 1, cut });
      const end = values.subarray(-width); // the chunk's last row
      for (let index = 0; index < header.frames; index++) {
        const row = values.subarray(index * width, (index + 1) * width);
        this._put({ row, end, header, index, count: header.frames, cut: cut && index === 0 });
      }
    });
  }

  paint(entry) {
    this.show(entry.row, entry);
  }

  _put(entry) {
    if (!this.queue.length && performance.now() > this.nextAt) this.nextAt = performance.now() + BUFFER_MS;
    this.enqueue(entry);
  }

  _after(task) {
    const era = this.era;
    this.chain = this.chain.then(() => (era === this.era ? task() : null)).catch((error) => this.events.failed(error));
  }
}
