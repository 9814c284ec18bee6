// The page: puts wire, player, keys and figures together.

import { Hud } from "./hud.js";
import { Keys } from "./keys.js";
import { Player, decodable } from "./player.js";
import { Wire } from "./wire.js";

const $ = (id) => document.getElementById(id);
const store = sessionStorage; // one tab, one session: a reload resumes, a second tab starts its own
const fragment = new URLSearchParams(location.hash.slice(1));
const query = new URLSearchParams(location.search);

const hud = new Hud();
const ours = new Set(); // controls whose first picture is to be shown at once
let token = query.get("token") ?? fragment.get("token") ?? store.getItem("token") ?? "";
let formats = ["jpeg"];
let models = [];
let configured = null;
let lastSeq = null;
let paused = false;
let hiddenPause = false;
let chunk = 0;
let restart = null; // what to configure once the old session has said goodbye

const player = new Player($("screen"), {
  acked: (seq) => wire.send({ type: "ack", seq }),
  shown: (header, first) => {
    hud.frame();
    hud.picture(first ? header : { applied: [] }, player.drawn);
    if (document.body.dataset.state === "open") setState("playing");
  },
  failed: () => {
    formats = ["jpeg"]; // this browser cannot decode it after all
    lastSeq = null;
    player.reset();
    wire.socket?.close();
  },
});

const wire = new Wire(socketUrl(), { message: onMessage, state: onState });
const keys = new Keys($("pad"), (action) => control("action", action));

function socketUrl() {
  const url = new URL("/v1/stream", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.search = token ? `?token=${encodeURIComponent(token)}` : "";
  url.hash = "";
  return url.href;
}

function setState(state, text = "") {
  document.body.dataset.state = state;
  const words = { connecting: "Connecting", open: "Starting", playing: "Live", paused: "Paused", over: "Ended" };
  hud.status(text || words[state] || state);
}

function control(kind, value = null) {
  if (configured?.role !== "owner") return null;
  const id = wire.control(kind, value);
  hud.control(id);
  ours.add(id);
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
      player.configure(message);
      hud.format(`${message.format} ${message.width}×${message.height}`);
    },
    chunk: () => {
      lastSeq = message.seq;
      chunk = message.chunk;
      const cut = message.applied.some((id) => ours.delete(id));
      player.push(message, data, cut);
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
      const words = { replaced: "Resumed somewhere else.", shutdown: "The server is going down.",
        idle: "Ended: nobody was there.", finished: "The film is over." };
      if (!restart) over(words[message.reason] ?? (message.message || "Ended."));
    },
  };
  handlers[message.type]?.();
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
  hud.veil("");
  document.body.dataset.role = message.role;
  document.body.dataset.session = message.session;
  setPaused(message.paused);
  if (!message.paused) setState("open");
  keys.setActions(message.role === "owner" ? message.model.actions : []);
  $("prompt-form").hidden = !message.model.controls.includes("prompt");
  $("model").value = message.model.name;
  if (message.role !== "owner") return;
  store.setItem("session", JSON.stringify({ session: message.session, key: message.key }));
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
  return {
    type: "configure", model: name, seed: Math.max(0, Math.floor(Number($("seed").value) || 0)),
    preset: $("preset").value || null, formats,
  };
}

function start(hello) {
  configured = null;
  lastSeq = null;
  paused = false;
  hud.veil("");
  setState("connecting");
  wire.url = socketUrl();
  wire.resume = () => {
    const kept = JSON.parse(store.getItem("session") ?? "null");
    if (hello.type === "watch" || !kept) return null;
    return { type: "resume", ...kept, last_seq: lastSeq, formats };
  };
  wire.open(hello);
}

function newWorld(event) {
  event.preventDefault();
  store.removeItem("session");
  const next = wish();
  if (configured?.role === "owner" && wire.socket) {
    restart = next;
    wire.send({ type: "end" });
  } else {
    wire.close();
    start(next);
  }
}

function showModel() {
  const model = models.find((one) => one.id === $("model").value) ?? models[0];
  const options = [["", "Standard"], ...model.presets.map((name) => [name, name])];
  $("preset").replaceChildren(...options.map(([value, text]) => new Option(text, value)));
}

function wireButtons() {
  $("pause").onclick = () => control(paused ? "resume" : "pause");
  $("step").onclick = () => control("step", 1);
  $("reset").onclick = () => control("reset");
  $("back").onclick = () => {
    const { fps, frames_per_chunk: frames } = configured.model;
    control("rewind", Math.max(0, chunk - Math.round((2 * fps) / frames)));
  };
  $("fork").onclick = () => control("fork");
  $("world").onsubmit = newWorld;
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
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && !paused && configured?.role === "owner") {
      hiddenPause = true; // nobody looks: let the server rest
      control("pause");
    } else if (!document.hidden && hiddenPause) {
      hiddenPause = false;
      control("resume");
    }
  });
}

async function listModels() {
  for (;;) {
    const answer = await fetch("/v1/models", { headers: token ? { authorization: `Bearer ${token}` } : {} });
    if (answer.ok) return (await answer.json()).data;
    if (answer.status !== 401) throw new Error((await answer.json()).error?.message ?? answer.statusText);
    $("ask").showModal();
    await new Promise((done) => $("ask").addEventListener("close", done, { once: true }));
    token = $("token").value;
    store.setItem("token", token);
  }
}

async function main() {
  wireButtons();
  models = await listModels();
  $("model").replaceChildren(...models.map((model) => new Option(model.id, model.id)));
  showModel();
  formats = query.get("format") ? [query.get("format")] : await decodable();
  if (query.get("seed")) $("seed").value = query.get("seed");
  if (fragment.get("watch")) {
    start({ type: "watch", token: fragment.get("watch"), formats });
    return;
  }
  if (fragment.get("session")) {
    store.setItem("session", JSON.stringify({ session: fragment.get("session"), key: fragment.get("key") }));
    history.replaceState(null, "", "/");
  }
  start(wish());
}

main().catch((error) => over(error.message));
