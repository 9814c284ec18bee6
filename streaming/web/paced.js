// What waits for its time: entries in, shown one by one at the stream's rate and as late as never needed.
//
// The first entry of a chunk that obeys a control of ours is shown at once and what waited before it is dropped; a
// queue that grows longer than two chunks is shortened.

export class Paced {
  // events: acked(seq), shown(header, firstOfChunk). An entry is { header, index, count, cut, ... }: `count` of a chunk.
  constructor(events) {
    this.events = events;
    this.fps = 15;
    this.queue = [];
    this.nextAt = 0;
    this.drawn = 0;
    this.skips = false; // where drawing is slower than the stream, entries whose time has passed are not drawn
    this.ended = false;
    requestAnimationFrame((now) => this._tick(now));
  }

  // Nothing is shown any more.
  end() {
    this.ended = true;
    this.reset();
  }

  paint() {} // show an entry

  close() {} // an entry is done with, shown or not

  drop(keep = 0) {
    while (this.queue.length > keep) {
      const entry = this.queue.shift();
      if (entry.index === 0) this.events.shown(entry.header, true);
      this.close(entry);
    }
  }

  forget() {
    for (const entry of this.queue) this.close(entry);
    this.queue = [];
  }

  enqueue(entry) {
    const last = entry.index === entry.count - 1;
    if (last) this.events.acked(entry.header.seq);
    if (entry.header.replay && !last) {
      this.close(entry);
      return;
    }
    const limit = 2 * entry.count;
    if (entry.cut || entry.header.replay) this.drop();
    else if (this.queue.length > limit) this.drop(limit);
    this.queue.push(entry);
    if (document.hidden) this.drop(1);
  }

  _tick(now) {
    if (this.ended) return;
    while (this.skips && this.queue.length > 1 && !this.queue[1].cut && now - this.nextAt >= 1000 / this.fps) {
      this.nextAt += 1000 / this.fps;
      this._done(this.queue.shift());
    }
    const entry = this.queue[0];
    if (entry && (now >= this.nextAt - 4 || entry.cut)) {
      this.queue.shift();
      const period = 1000 / this.fps;
      const rate = this.queue.length > entry.count ? 1.1 : 1;
      this.nextAt = Math.max(this.nextAt, now - period) + period / rate;
      if (entry.cut) this.nextAt = now + period;
      this.paint(entry);
      this._done(entry);
    }
    requestAnimationFrame((next) => this._tick(next));
  }

  _done(entry) {
    this.close(entry);
    this.drawn += 1;
    this.events.shown(entry.header, entry.index === 0);
  }
}
