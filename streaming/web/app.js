// The page: puts streams, keys and forms together.

import { Keys } from "./keys.js";
import { Meshes } from "./meshes.js";
import { listModels } from "./models.js";
import { restWhileHidden } from "./rest.js";
import { Siblings, ownTab } from "./siblings.js";
import { STAGES } from "./stages.js";
import { Stream } from "./stream.js";
import { upload } from "./upload.js";

const $ = (id) => document.getElementById(id);
const store = sessionStorage; // one tab, one session: a reload resumes, a second tab starts its own
const fragment = new URLSearchParams(location.hash.slice(1));
const query = new URLSearchParams(location.search);

let token = query.get("token") ?? fragment.get("token") ?? store.getItem("token") ?? "";
let models = [];
let restart = null; // what to configure once the old session has said goodbye

const main = new Stream("Main", document.body, $("veil"), {
  configured: onConfigured,
  changed: () => onChanged(main),
  forked: (message) => onForked(main, message),
  over: () => store.removeItem("session"),
  closing: (message) => restart !== null || (message.reason === "finished" && main.stage.finished && (finish(), true)),
  failed: onFailed,
  gone: () => restart !== null && (start(restart), (restart = null), true),
});
let front = main; // the stream that has the focus: keys, buttons and figures are about it
const keys = new Keys($("pad"), (action) => (front.control("action", action), siblings.hold(front, action)));
const meshes = new Meshes({ begin: beginWith, token: () => token, say: (text) => main.hud.status(text) });
const siblings = new Siblings(main, { focus, changed: onChanged, forked: onForked, url: socketUrl, token: () => token });

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
  one.stage ??= await one.make(main.events, (...how) => main.control(...how));
  if (main.stage !== one.stage) main.stage?.player.reset();
  main.stage = one.stage;
  document.body.dataset.modality = modality;
  for (const canvas of document.querySelectorAll("#main canvas")) canvas.hidden = canvas.id !== one.canvas;
  $("hint").textContent = one.hint;
  $("again").textContent = one.again;
  $("download").textContent = `Download ${one.file}`;
  $("move").hidden = true;
}

// Keys, buttons and figures are about this stream from here on; the others go on with what was last held.
function focus(stream) {
  if (stream === front) return;
  front.hud.show(false);
  front = stream;
  onChanged(stream, true);
}

// What the panel says of the stream that has the focus; `keyed`: its keys, too.
function onChanged(stream, keyed = false) {
  if (stream !== front) return;
  const { configured, paused, owned } = stream;
  siblings.mark(stream);
  stream.hud.show(true);
  $("pause").textContent = paused ? "Resume" : "Pause";
  $("pause").setAttribute("aria-pressed", `${paused}`);
  $("step").disabled = !paused;
  if (keyed) keys.setActions(owned ? configured.model.actions : []);
  if (!owned) return;
  $("download").hidden = !configured.recording;
  const words = new URLSearchParams({ key: configured.key, ...(token && { token }) });
  $("download").href = `${configured.recording}?${words}`;
}

// A fork is shown beside the main picture; what is not a picture gets a tab of its own.
function onForked(parent, message) {
  if (modalityOf(parent.configured.model) !== "video" || siblings.full) ownTab(message, token);
  else siblings.add(message, parent);
}

// The session has come to its end, and there is something to be shown for it.
function finish() {
  store.removeItem("session");
  if (!main.owned || !main.configured.recording) return main.over("Finished.");
  main.setState("over", "Fetching the rig");
  main.stage.finished($("download").href).then(
    (joints) => {
      main.setState("over", `Rigged: ${joints} joints`);
      $("move").hidden = !meshes.mover();
    },
    (error) => main.over(error.message),
  );
}

// A session of before is over: begin anew.
function onFailed(message) {
  if (message.code !== "unknown_session" || fragment.get("watch")) return false;
  store.removeItem("session");
  restart = wish();
  return true;
}

function onConfigured(message) {
  if (message.role === "owner") store.setItem("session", JSON.stringify({ session: message.session, key: message.key }));
  const modality = modalityOf(message.model);
  if (document.body.dataset.modality !== modality) {
    main.wire.close(); // another kind of picture than was thought: come back for it
    start(main.wire.hello, modality);
    return false;
  }
  document.body.dataset.role = message.role;
  onChanged(main, true);
  for (const kind of ["prompt", "place", "view"]) $(`${kind}-form`).hidden = !message.model.controls.includes(kind);
  $("place").replaceChildren(new Option("Any", ""), ...(message.model.places ?? []).map((name) => new Option(name, name)));
  if ($("model").value !== message.model.name) {
    $("model").value = message.model.name;
    showModel();
  }
  return true;
}

function wish() {
  const name = $("model").value || models[0]?.id;
  const model = models.find((one) => one.id === name);
  const [mesh, prompt] = [meshes.of(model), model?.controls.includes("prompt") ? $("prompt").value.trim() : ""];
  return {
    type: "configure", model: name, seed: Math.max(0, Math.floor(Number($("seed").value) || 0)),
    preset: $("preset").value || null, ...(mesh && { mesh }), ...(prompt && { prompt }),
  };
}

// What the hello asks for; its modality is known of a model, and guessed for sessions of others.
async function start(hello, modality = modalityOf(models.find((model) => model.id === hello.model) ?? models[0])) {
  main.forget();
  main.hud.veil("");
  main.setState("connecting");
  await enter(modality);
  main.stage.clear?.(); // what an earlier session has left
  if (meshes.lacks(hello) && !store.getItem("session")) {
    main.setState("over", "Ready");
    return main.hud.veil("Choose a mesh to rig, or use the example.");
  }
  main.formats = query.get("format") && modality === "video" ? [query.get("format")] : await STAGES[modality].formats();
  main.open(socketUrl(), hello, () => {
    const [kept, { formats, lastSeq }] = [JSON.parse(store.getItem("session") ?? "null"), main];
    if (hello.type === "watch" || !kept) return { ...hello, formats };
    return { type: "resume", ...kept, last_seq: lastSeq, formats };
  });
}

// It takes the place of everything that is shown.
function newWorld(event, more = {}) {
  event?.preventDefault();
  siblings.clear();
  store.removeItem("session");
  const next = { ...wish(), ...more };
  if (main.owned && main.wire.socket) {
    restart = next;
    main.wire.send({ type: "end" });
  } else {
    main.wire.close();
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
  $("pause").onclick = () => front.control(front.paused ? "resume" : "pause");
  $("step").onclick = () => front.control("step", front.stage.step);
  $("reset").onclick = () => front.control("reset");
  $("back").onclick = () => {
    const to = front.stage.back(2, front.configured.model, front.chunk);
    if (to !== null) front.control("rewind", to);
  };
  $("fork").onclick = () => (siblings.full ? front.hud.status(siblings.full) : front.control("fork"));
  $("move").onclick = () => meshes.move(main.stage.glb);
  $("world").onsubmit = (event) => newWorld(event);
  $("view-form").onsubmit = async (event) => {
    event.preventDefault();
    $("view-send").disabled = true;
    main.hud.status("Sending the picture");
    await upload($("model").value, token).then((view) => newWorld(event, { view }), (error) => main.hud.status(error.message));
    $("view-send").disabled = false;
  };
  $("place").onchange = () => $("place").value && main.control("place", $("place").value);
  $("model").onchange = showModel;
  $("preset").onchange = () => $("preset").value && front.control("preset", $("preset").value);
  $("prompt-form").onsubmit = (event) => {
    event.preventDefault();
    front.control("prompt", $("prompt").value);
  };
  $("share").onclick = async () => {
    const words = new URLSearchParams({ watch: front.configured.watch, ...(token && { token }) });
    const link = `${location.origin}/#${words}`;
    const done = await navigator.clipboard?.writeText(link).then(() => true, () => false);
    front.hud.status(done ? "Link copied" : link);
  };
  window.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName ?? "");
    if (event.key.toLowerCase() === "p" && !typing && !event.ctrlKey && !event.metaKey) $("pause").click();
  });
  restWhileHidden(() => siblings.streams.filter((stream) => stream.owned && !stream.paused));
}

async function begin() {
  onChanged(main);
  wireButtons();
  [models, token] = await listModels(token);
  meshes.models = models;
  $("model").replaceChildren(...models.map((model) => new Option(model.id, model.id)));
  showModel();
  if (query.get("seed")) $("seed").value = query.get("seed");
  if (fragment.get("watch")) {
    await start({ type: "watch", token: fragment.get("watch") });
    return;
  }
  if (fragment.get("session")) {
    store.setItem("session", JSON.stringify({ session: fragment.get("session"), key: fragment.get("key") }));
    history.replaceState(null, "", "/");
  }
  await start(wish());
  siblings.restore();
}

begin().catch((error) => main.over(error.message));
