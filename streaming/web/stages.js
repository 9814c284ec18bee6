// One stage per modality: what shows its pictures, and what the page has to know of it. Chosen here and nowhere else.

import { PanoramaStage } from "./panorama.js";
import { Player, decodable } from "./player.js";

export class VideoStage {
  constructor(events, canvas = document.getElementById("screen")) {
    this.canvas = canvas;
    this.player = canvas.player = new Player(canvas, events); // on the canvas for tests, and for the curious
    this.step = 1;
  }

  configured() {}

  // The chunk to rewind to for the picture of `seconds` ago.
  back(seconds, { fps, frames_per_chunk: frames }, chunk) {
    return Math.max(0, chunk - Math.round((seconds * fps) / frames));
  }
}

let known = null;

// Whether this browser draws bodies itself; it is sent pictures of them where it does not.
function webgl() {
  known ??= document.createElement("canvas").getContext("webgl2") !== null;
  return known;
}

const body = (make, more) => ({
  ...more,
  file: "GLB",
  get canvas() {
    return webgl() ? "space" : "screen";
  },
  formats: async () => (webgl() ? ["rows"] : decodable()),
  make: async (events, control) => (webgl() ? make(events, control) : new VideoStage(events)),
});

export const STAGES = {
  video: {
    canvas: "screen",
    hint: "W A S D or arrows to move, P to pause.",
    again: "New world",
    file: "MP4",
    formats: decodable,
    make: (events) => new VideoStage(events),
  },
  panorama: {
    canvas: "pano",
    hint: "Drag or arrows to turn, wheel or + and − to zoom, Home to look ahead, P to pause.",
    again: "New world",
    file: "MP4",
    formats: async () => ["jpeg"],
    make: (events, control) => new PanoramaStage(events, control),
  },
  rig: body(async (events) => new (await import("./rig.js")).RigStage(events), {
    hint: "Drag to turn, wheel or two fingers to come closer, P to pause. Every dot is a joint, as the model makes it.",
    again: "Rig again",
  }),
  motion: body(async (events, control) => new (await import("./motion.js")).MotionStage(events, control), {
    hint: "Drag to turn, wheel or two fingers to come closer, P to pause.",
    again: "New motion",
  }),
};
