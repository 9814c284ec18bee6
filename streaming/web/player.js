// Chunks in, pictures on a canvas out.

import { Paced } from "./paced.js";

export async function decodable() {
  // Formats this browser can show, best first.
  const config = { codec: "avc1.42C01E", optimizeForLatency: true };
  const support = "VideoDecoder" in window ? await VideoDecoder.isConfigSupported(config).catch(() => null) : null;
  return support?.supported ? ["h264", "jpeg"] : ["jpeg"];
}

export class Player extends Paced {
  // events: Paced's, and failed(error)
  constructor(canvas, events) {
    super(events);
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false, desynchronized: true });
    this.media = null;
    this.decoder = null;
    this.headers = new Map(); // frame number -> { header, index, cut }
    this.count = 0;
    this.chain = Promise.resolve();
  }

  paint(entry) {
    this.context.drawImage(entry.picture, 0, 0, this.canvas.width, this.canvas.height);
  }

  close(entry) {
    entry.picture.close();
  }

  configure(media) {
    const same = JSON.stringify(media) === JSON.stringify(this.media);
    if (same && this.decoder?.state === "configured") return; // resumed: the decoder goes on where it was
    this.reset();
    this.media = media;
    this.fps = media.fps || 15;
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
    this.forget();
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
    this.enqueue({ picture: frame, count: entry.header.sizes.length, ...entry });
  }

  async _pushJpeg(header, parts, cut) {
    for (const [index, part] of parts.entries()) {
      const picture = await createImageBitmap(new Blob([part], { type: "image/jpeg" }));
      this.enqueue({ picture, header, index, count: parts.length, cut: cut && index === 0 });
    }
  }
}
