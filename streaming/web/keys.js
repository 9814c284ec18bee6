// Keys held, from keyboard, pointer or focus, into one of the actions a model knows.

const ARROWS = { arrowup: "w", arrowleft: "a", arrowdown: "s", arrowright: "d" };

export function actionOf(held, actions) {
  // The known action for the keys held; the newest key alone where the combination is unknown.
  const sorted = (keys) => [...new Set(keys)].sort().join("");
  const known = new Map(actions.map((action) => [action === "none" ? "" : sorted(action), action]));
  const all = known.get(sorted(held));
  if (all !== undefined) return all;
  for (const key of [...held].reverse()) if (known.has(key)) return known.get(key);
  return known.get("") ?? actions[0];
}

export class Keys {
  // changed(action) is called when the action changes
  constructor(pad, changed) {
    this.pad = pad;
    this.changed = changed;
    this.actions = [];
    this.held = [];
    this.action = null;
    window.addEventListener("keydown", (event) => this._key(event, true));
    window.addEventListener("keyup", (event) => this._key(event, false));
    window.addEventListener("blur", () => this.release());
    for (const button of pad.querySelectorAll("button")) this._button(button);
  }

  setActions(actions) {
    this.actions = actions;
    this.held = [];
    this.action = null;
    const letters = new Set(actions.filter((a) => a !== "none").join(""));
    this.pad.hidden = letters.size === 0;
    for (const button of this.pad.querySelectorAll("button")) {
      button.disabled = !letters.has(button.dataset.key);
      button.classList.remove("held");
    }
  }

  release() {
    if (this.held.length) {
      this.held = [];
      this._update();
    }
  }

  _key(event, down) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName ?? "")) return;
    const key = ARROWS[event.key.toLowerCase()] ?? event.key.toLowerCase();
    if (!this.actions.some((action) => action !== "none" && action.includes(key))) return;
    event.preventDefault();
    if (!event.repeat) this._hold(key, down);
  }

  _button(button) {
    const key = button.dataset.key;
    const hold = (down) => this._hold(key, down);
    button.addEventListener("pointerdown", (event) => {
      button.setPointerCapture(event.pointerId);
      hold(true);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      button.addEventListener(end, () => hold(false));
    }
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    const presses = (event) => event.key === " " || event.key === "Enter";
    button.addEventListener("keydown", (event) => presses(event) && !event.repeat && (event.preventDefault(), hold(true)));
    button.addEventListener("keyup", (event) => presses(event) && hold(false));
    button.addEventListener("blur", () => hold(false));
  }

  _hold(key, down) {
    const had = this.held.includes(key);
    if (down === had) return;
    this.held = down ? [...this.held, key] : this.held.filter((k) => k !== key);
    this._update();
  }

  _update() {
    for (const button of this.pad.querySelectorAll("button")) {
      button.classList.toggle("held", this.held.includes(button.dataset.key));
    }
    if (!this.actions.length) return;
    const action = actionOf(this.held, this.actions);
    if (action !== this.action) {
      this.action = action;
      this.changed(action);
    }
  }
}
