// The page: puts wire, player, keys and figures together.

import { Hud } from "./hud.js";
import { Keys } from "./keys.js";
import { Meshes } from "./meshes.js";
import { listModels } from "./models.js";
import { restWhileHidden } from "./rest.js";
import { STAGES } from "./stages.js";
import { upload } from "./upload.js";
import { Wire } from "./wire.js";

const $ = (id) => document.getElementById(id);
const store = sessionStorage; // one tab, one session: a reload resumes, a second tab starts its own
const fragment = new URLSearchParams(location.hash.slice(1));
const query = new URLSearchParams(location.search);

const hud = new Hud();
const ours = new Set(); // controls whose first picture is to be shown at once
let token = query.get("token") ?? fragment.get("token") ?? store.getItem("token") ?? "";
let formats = ["jpeg"];
let stage = null; // what shows the pictures of the model's modality
let models = [];
let configured = null;
let lastSeq = null;
let paused = false;
let chunk = 0;
let restart = null; // what to configure once the old session has said goodbye

const events = {
  acked: (seq) => wire.send({ type: "ack", seq }),
  shown: (header, first) => {
    hud.frame();
    hud.picture(first ? header : { applied: [] }, stage.player.drawn);
    if (document.body.dataset.state === "open") setState("playing");
  },
  failed: (error) => {
    if (formats.length === 1) return over(`The picture cannot be shown: ${error.message}`);
    formats = formats.slice(1); // this browser cannot decode it after all
    lastSeq = null;
    stage.player.reset();
    wire.socket?.close();
  },
};

const wire = new Wire(socketUrl(), { message: onMessage, state: onState });
const keys = new Keys($("pad"), (action) => control("action", action));
const meshes = new Meshes({ begin: beginWith, token: () => token, say: (text) => hud.status(text) });

function socketUrl() {
  const url = new URL("/v1/stream", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.search = token ? `?token=${encodeURIComponent(token)}` : "";
  url.hash = "";
  return url.href;
}

function modalityOf(model) {
  return model?.modality in STAGES ? model.modality : "video";
}

// Show the stage of a modality; it is made when first needed and kept.
async function enter(modality) {
  const one = STAGES[modality];
  one.stage ??= await one.make(events, control);
  if (stage !== one.stage) stage?.player.reset();
  stage = one.stage;
  document.body.dataset.modality = modality;
  for (const canvas of document.querySelectorAll(".frame canvas")) canvas.hidden = canvas.id !== one.canvas;
  $("hint").textContent = one.hint;
  $("again").textContent = one.again;
  $("download").textContent = `Download ${one.file}`;
  $("move").hidden = true;
}

function setState(state, text = "") {
  document.body.dataset.state = state;
  const words = { connecting: "Connecting", open: "Starting", playing: "Live", paused: "Paused", over: "Ended" };
  hud.status(text || words[state] || state);
}

// `quiet`: nobody asked for it, so how long it takes is no figure.
function control(kind, value = null, quiet = false) {
  if (configured?.role !== "owner") return null;
  const id = wire.control(kind, value);
  if (!quiet) hud.control(id);
  if (kind !== "camera") ours.add(id); // a glance is no reason to skip frames
  return id;
}

function onState(state, text) {
  if (state === "lost") setState("connecting", "Connection lost, trying again");
  if (state === "over" && restart) {
    start(restart);
    restart = null;
  } else if (state === "over" && document.body.dataset.state !== "over") {
    over(text || "The connection is closed.");
  }
}

function over(text) {
  store.removeItem("session");
  setState("over");
  hud.veil(text);
}

function onMessage(message, data) {
  const handlers = {
    queued: () => {
      setState("queued", `Waiting for a place: number ${message.position}`);
      hud.veil(`All places are taken. You are number ${message.position}.`);
    },
    configured: () => onConfigured(message),
    media: () => {
      stage.player.configure(message, data);
      hud.format(message.format === "rows" ? message.layout : `${message.format} ${message.width}×${message.height}`);
    },
    chunk: () => {
      lastSeq = message.seq;
      chunk = message.chunk;
      const cut = message.applied.some((id) => ours.delete(id));
      stage.player.push(message, data, cut);
    },
    control: () => onControl(message),
    forked: () => {
      const words = new URLSearchParams({ session: message.session, key: message.key });
      window.open(`/#${words}`, "_blank", "noopener");
    },
    stats: () => (hud.stats(message), hud.idle()),
    error: () => onError(message),
    closing: () => {
      if (message.session_kept) return;
      if (message.reason === "finished" && stage.finished && !restart) return finish();
      const words = { replaced: "Resumed somewhere else.", shutdown: "The server is going down.",
        idle: "Ended: nobody was there.", finished: "The film is over." };
      if (!restart) over(words[message.reason] ?? (message.message || "Ended."));
    },
  };
  handlers[message.type]?.();
}

// The session has come to its end, and there is something to be shown for it.
function finish() {
  store.removeItem("session");
  if (configured.role !== "owner" || !configured.recording) return over("Finished.");
  setState("over", "Fetching the rig");
  const one = stage;
  one.finished($("download").href).then(
    (joints) => {
      setState("over", `Rigged: ${joints} joints`);
      $("move").hidden = !meshes.mover();
    },
    (error) => over(error.message),
  );
}

function onError(message) {
  if (message.code === "unknown_session" && !fragment.get("watch")) {
    store.removeItem("session"); // it is over: begin anew
    restart = wish();
  } else {
    hud.status(message.message);
    if (!configured || message.code === "failed" || message.code === "encoder") over(message.message);
  }
}

function onConfigured(message) {
  configured = message;
  if (message.role === "owner") store.setItem("session", JSON.stringify({ session: message.session, key: message.key }));
  const modality = modalityOf(message.model);
  if (document.body.dataset.modality !== modality) {
    wire.close(); // another kind of picture than was thought: come back for it
    start(wire.hello, modality);
    return;
  }
  stage.configured(message.model);
  hud.veil("");
  document.body.dataset.role = message.role;
  document.body.dataset.session = message.session;
  setPaused(message.paused);
  if (!message.paused) setState("open");
  keys.setActions(message.role === "owner" ? message.model.actions : []);
  $("prompt-form").hidden = !message.model.controls.includes("prompt");
  $("place-form").hidden = !message.model.controls.includes("place");
  $("view-form").hidden = !message.model.controls.includes("view");
  $("place").replaceChildren(new Option("Any", ""), ...(message.model.places ?? []).map((name) => new Option(name, name)));
  if ($("model").value !== message.model.name) {
    $("model").value = message.model.name;
    showModel();
  }
  if (message.role !== "owner") return;
  $("download").hidden = !message.recording;
  const words = new URLSearchParams({ key: message.key, ...(token && { token }) });
  $("download").href = `${message.recording}?${words}`;
}

function onControl(message) {
  document.body.dataset.control = `${message.kind} ${message.status}`;
  if (message.status === "rejected") hud.status(message.reason);
  if (message.status === "rejected" || message.status === "replaced") ours.delete(message.id);
  if (message.status === "applied" && (message.kind === "pause" || message.kind === "resume")) {
    setPaused(message.kind === "pause");
  }
}

function setPaused(value) {
  paused = value;
  $("pause").textContent = value ? "Resume" : "Pause";
  $("pause").setAttribute("aria-pressed", `${value}`);
  $("step").disabled = !value;
  if (configured) setState(value ? "paused" : "playing");
}

function wish() {
  const name = $("model").value || models[0]?.id;
  const model = models.find((one) => one.id === name);
  const [mesh, prompt] = [meshes.of(model), model?.controls.includes("prompt") ? $("prompt").value.trim() : ""];
  return {
    type: "configure", model: name, seed: Math.max(0, Math.floor(Number($("seed").value) || 0)),
    preset: $("preset").value || null, formats, ...(mesh && { mesh }), ...(prompt && { prompt }),
  };
}

// What the hello asks for; its modality is known of a model, and guessed for sessions of others.
async function start(hello, modality = modalityOf(models.find((model) => model.id === hello.model) ?? models[0])) {
  configured = null;
  lastSeq = null;
  paused = false;
  hud.veil("");
  setState("connecting");
  await enter(modality);
  stage.clear?.(); // what an earlier session has left
  if (meshes.lacks(hello) && !store.getItem("session")) {
    setState("over", "Ready");
    return hud.veil("Choose a mesh to rig, or use the example.");
  }
  formats = query.get("format") && modality === "video" ? [query.get("format")] : await STAGES[modality].formats();
  wire.url = socketUrl();
  wire.resume = () => {
    const kept = JSON.parse(store.getItem("session") ?? "null");
    if (hello.type === "watch" || !kept) return { ...hello, formats };
    return { type: "resume", ...kept, last_seq: lastSeq, formats };
  };
  wire.open({ ...hello, formats });
}

function newWorld(event, more = {}) {
  event?.preventDefault();
  store.removeItem("session");
  const next = { ...wish(), ...more };
  if (configured?.role === "owner" && wire.socket) {
    restart = next;
    wire.send({ type: "end" });
  } else {
    wire.close();
    start(next);
  }
}

// A session of a model with a mesh or a rig.
function beginWith(model, mesh) {
  $("model").value = model.id;
  showModel();
  newWorld(null, { mesh });
}

function showModel() {
  const model = models.find((one) => one.id === $("model").value) ?? models[0];
  const options = [["", "Standard"], ...model.presets.map((name) => [name, name])];
  $("preset").replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  meshes.show(model);
}

function wireButtons() {
  $("pause").onclick = () => control(paused ? "resume" : "pause");
  $("step").onclick = () => control("step", stage.step);
  $("reset").onclick = () => control("reset");
  $("back").onclick = () => {
    const to = stage.back(2, configured.model, chunk);
    if (to !== null) control("rewind", to);
  };
  $("fork").onclick = () => control("fork");
  $("move").onclick = () => meshes.move(stage.glb);
  $("world").onsubmit = (event) => newWorld(event);
  $("view-form").onsubmit = async (event) => {
    event.preventDefault();
    $("view-send").disabled = true;
    hud.status("Sending the picture");
    await upload($("model").value, token).then((view) => newWorld(event, { view }), (error) => hud.status(error.message));
    $("view-send").disabled = false;
  };
  $("place").onchange = () => $("place").value && control("place", $("place").value);
  $("model").onchange = showModel;
  $("preset").onchange = () => {
    if (configured && $("preset").value) control("preset", $("preset").value);
  };
  $("prompt-form").onsubmit = (event) => {
    event.preventDefault();
    control("prompt", $("prompt").value);
  };
  $("share").onclick = async () => {
    const words = new URLSearchParams({ watch: configured.watch, ...(token && { token }) });
    const link = `${location.origin}/#${words}`;
    const done = await navigator.clipboard?.writeText(link).then(() => true, () => false);
    hud.status(done ? "Link copied" : link);
  };
  window.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName ?? "");
    if (event.key.toLowerCase() === "p" && !typing && !event.ctrlKey && !event.metaKey) $("pause").click();
  });
  restWhileHidden(() => !paused && configured?.role === "owner", control);
}

async function main() {
  wireButtons();
  [models, token] = await listModels(token);
  meshes.models = models;
  $("model").replaceChildren(...models.map((model) => new Option(model.id, model.id)));
  showModel();
  if (query.get("seed")) $("seed").value = query.get("seed");
  if (fragment.get("watch")) {
    await start({ type: "watch", token: fragment.get("watch"), formats });
    return;
  }
  if (fragment.get("session")) {
    store.setItem("session", JSON.stringify({ session: fragment.get("session"), key: fragment.get("key") }));
    history.replaceState(null, "", "/");
  }
  await start(wish());
}

main().catch((error) => over(error.message));
