// The protocol from the browser's side: one websocket, resumed when it is lost. Knows nothing of pixels.

export const VERSION = "unreel.v1";

export class Wire {
  // handlers: message(object, ArrayBuffer | null), state("connecting" | "open" | "lost" | "over", text)
  constructor(url, handlers) {
    this.url = url;
    this.handlers = handlers;
    this.socket = null;
    this.hello = null;
    this.resume = null; // what to say after a lost connection
    this.header = null; // the message whose binary comes next
    this.tries = 0;
    this.nextId = 0;
    this.over = false;
  }

  open(hello) {
    this.hello = hello;
    this.over = false;
    this.tries = 0;
    this._connect();
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  control(kind, value = null) {
    const id = `k${++this.nextId}`;
    this.send({ type: "control", id, kind, value });
    return id;
  }

  close() {
    this.over = true;
    const socket = this.socket;
    this.socket = null;
    socket?.close(1000);
  }

  _connect() {
    const socket = new WebSocket(this.url, [VERSION]);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.header = null;
    socket.onopen = () => {
      this.tries = 0;
      this.send(this.resume?.() ?? this.hello);
      this.handlers.state("open", "");
    };
    socket.onmessage = (event) => {
      if (socket === this.socket) this._receive(event.data);
    };
    socket.onclose = () => {
      if (socket === this.socket) this._lost();
    };
  }

  _receive(data) {
    if (typeof data !== "string") {
      const header = this.header;
      this.header = null;
      if (header) this.handlers.message(header, data);
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "chunk" || (message.type === "media" && message.bytes > 0)) {
      this.header = message;
      return;
    }
    if (message.type === "closing" && !message.session_kept) this.over = true;
    if (message.type === "error" && message.code === "version") this.over = true;
    this.handlers.message(message, null);
  }

  _lost() {
    this.socket = null;
    if (this.over) {
      this.handlers.state("over", "");
    } else if (this.tries >= 8) {
      this.handlers.state("over", "The server cannot be reached.");
    } else {
      this.tries += 1;
      this.handlers.state("lost", "");
      setTimeout(() => this.socket ?? this._connect(), Math.min(4000, 200 * 2 ** this.tries));
    }
  }
}
