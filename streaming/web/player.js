// Chunks in, pictures on a canvas out, at the stream's rate and as late as never needed.
//
// Frames wait in `queue` for their time. The first frame of a chunk that obeys a control of ours is shown at once
// and what waited before it is dropped; a queue that grows longer than two chunks is shortened.

export async function decodable() {
  // Formats this browser can show, best first.
  const config = { codec: "avc1.42C01E", optimizeForLatency: true };
  const support = "VideoDecoder" in window ? await VideoDecoder.isConfigSupported(config).catch(() => null) : null;
  return support?.supported ? ["h264", "jpeg"] : ["jpeg"];
}

export class Player {
  // events: acked(seq), shown(header, firstOfChunk), failed(error)
  constructor(canvas, events) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false, desynchronized: true });
    this.events = events;
    this.media = null;
    this.decoder = null;
    this.headers = new Map(); // frame number -> { header, index, cut }
    this.count = 0;
    this.queue = []; // { picture, header, index, cut }
    this.nextAt = 0;
    this.drawn = 0;
    this.chain = Promise.resolve();
    requestAnimationFrame((now) => this._tick(now));
  }

  configure(media) {
    const same = JSON.stringify(media) === JSON.stringify(this.media);
    if (same && this.decoder?.state === "configured") return; // resumed: the decoder goes on where it was
    this.reset();
    this.media = media;
    if (this.canvas.width !== media.width || this.canvas.height !== media.height) {
      this.canvas.width = media.width;
      this.canvas.height = media.height;
    }
    if (media.format === "h264") {
      this.decoder = new VideoDecoder({
        output: (frame) => this._decoded(frame),
        error: (error) => this.events.failed(error),
      });
      this.decoder.configure({ codec: media.codec, optimizeForLatency: true });
    }
  }

  reset() {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
    this.headers.clear();
    for (const entry of this.queue) entry.picture.close();
    this.queue = [];
  }

  // `cut`: show its first frame at once
  push(header, data, cut) {
    let at = 0;
    const parts = header.sizes.map((size) => new Uint8Array(data, (at += size) - size, size));
    if (header.format === "h264") this._pushH264(header, parts, cut);
    else this.chain = this.chain.then(() => this._pushJpeg(header, parts, cut));
  }

  _pushH264(header, parts, cut) {
    if (!this.decoder || this.decoder.state !== "configured") return;
    parts.forEach((data, index) => {
      const timestamp = this.count++;
      this.headers.set(timestamp, { header, index, cut: cut && index === 0 });
      const type = header.key && index === 0 ? "key" : "delta";
      this.decoder.decode(new EncodedVideoChunk({ type, timestamp, data }));
    });
  }

  _decoded(frame) {
    const entry = this.headers.get(frame.timestamp);
    this.headers.delete(frame.timestamp);
    if (!entry) {
      frame.close();
      return;
    }
    this._enqueue({ picture: frame, ...entry });
  }

  async _pushJpeg(header, parts, cut) {
    for (const [index, part] of parts.entries()) {
      const picture = await createImageBitmap(new Blob([part], { type: "image/jpeg" }));
      this._enqueue({ picture, header, index, cut: cut && index === 0 });
    }
  }

  _enqueue(entry) {
    const last = entry.index === entry.header.sizes.length - 1;
    if (last) this.events.acked(entry.header.seq);
    if (entry.header.replay && !last) {
      entry.picture.close();
      return;
    }
    const limit = 2 * entry.header.sizes.length;
    if (entry.cut || entry.header.replay) this._drop(0);
    else if (this.queue.length > limit) this._drop(limit);
    this.queue.push(entry);
    if (document.hidden) this._drop(1);
  }

  _drop(keep) {
    while (this.queue.length > keep) {
      const entry = this.queue.shift();
      if (entry.index === 0) this.events.shown(entry.header, true);
      entry.picture.close();
    }
  }

  _tick(now) {
    const entry = this.queue[0];
    if (entry && (now >= this.nextAt - 4 || entry.cut)) {
      this.queue.shift();
      const period = 1000 / (this.media?.fps || 15);
      const rate = this.queue.length > entry.header.sizes.length ? 1.1 : 1;
      this.nextAt = Math.max(this.nextAt, now - period) + period / rate;
      if (entry.cut) this.nextAt = now + period;
      this.context.drawImage(entry.picture, 0, 0, this.canvas.width, this.canvas.height);
      entry.picture.close();
      this.drawn += 1;
      this.events.shown(entry.header, entry.index === 0);
    }
    requestAnimationFrame((next) => this._tick(next));
  }
}
