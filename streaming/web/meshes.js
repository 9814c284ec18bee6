// Meshes and rigs of one's own: what is sent, and from a finished rig to one that moves.

import { post } from "./upload.js";

const $ = (id) => document.getElementById(id);
const WORDS = {
  surface: { label: "A mesh to rig (.glb, .obj, .ply, .stl)", send: "Rig it", accept: ".glb,.obj,.ply,.stl" },
  rig: { label: "A rig to move (.glb)", send: "Move it", accept: ".glb" },
};

export class Meshes {
  // begin(model, mesh): a new session; token(): the server's; say(text): the status line
  constructor({ begin, token, say }) {
    Object.assign(this, { begin, token, say, model: null, models: [], names: {} });
    $("mesh-form").onsubmit = (event) => {
      event.preventDefault();
      this._send($("mesh-file").files[0], this.model, $("mesh-replace").checked);
    };
    $("mesh-example").onclick = () => this._begin(this.model, "example");
  }

  // The form of the chosen model.
  show(model) {
    this.model = model;
    const words = WORDS[model.mesh];
    $("mesh-form").hidden = !words;
    $("mesh-example").hidden = $("mesh-old").hidden = model.mesh !== "surface";
    if (!words) return;
    $("mesh-label").textContent = words.label;
    $("mesh-send").textContent = words.send;
    $("mesh-file").accept = words.accept;
  }

  // What a session of this model is about; null: nothing was chosen.
  of(model) {
    return this.names[model?.id] ?? null;
  }

  // Whether a session of it cannot begin yet.
  lacks(hello) {
    const model = this.models.find((one) => one.id === hello.model) ?? this.models[0];
    return hello.type === "configure" && model?.mesh === "surface" && !hello.mesh;
  }

  // The model that moves finished rigs, if one is served.
  mover() {
    return this.models.find((one) => one.mesh === "rig") ?? null;
  }

  // A finished rig goes to the model that moves it; the server says why not, where it is no body's.
  move(glb) {
    return this._send(new File([glb], "rig.glb"), this.mover());
  }

  async _send(file, model, replace = false) {
    $("mesh-send").disabled = $("move").disabled = true;
    this.say("Sending the mesh");
    try {
      const form = new FormData();
      form.append("file", file);
      form.append("model", model.id);
      if (replace) form.append("rig", "replace");
      const { id } = await post("/v1/meshes", form, this.token());
      this._begin(model, id);
    } catch (error) {
      this.say(error.message);
    } finally {
      $("mesh-send").disabled = $("move").disabled = false;
    }
  }

  _begin(model, mesh) {
    this.names[model.id] = mesh;
    this.begin(model, mesh);
  }
}
