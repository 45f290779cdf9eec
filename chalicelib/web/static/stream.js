// Following a run: every event once and in order, whatever the network does.
// WebSocket first; after failures the log is polled, and the WebSocket tried again now and then.
const FIRST_MS = 400;
const MOST_MS = 10000;
const FAILURES = 2; // before it polls
const POLL_MS = 1000;
const RETRY_MS = 60000; // of the WebSocket, while polling
const SILENT_MS = 20000; // then the other side is asked whether it is there
const ANSWER_MS = 5000;
const PAGE = 5000;

export class RunStream {
  // urls: {run, log, websocket}; onEvents(events), onState(connecting|live|polling|lost|finished)
  constructor(urls, onEvents, onState) {
    Object.assign(this, { urls, onEvents, onState, last: 0, done: false, failures: 0, socket: null, timers: new Set(), polled: 0 });
    addEventListener("online", () => this.#again());
    addEventListener("offline", () => this.socket?.close());
  }

  // What there is comes first by HTTP, in pages: quick also for a long run. Then it is followed.
  async start() {
    this.onState("connecting");
    try {
      await this.#read();
    } catch {
      // the WebSocket replays from the last seq as well
    }
    if (!this.done) this.#connect();
  }

  accept(events) {
    const fresh = [];
    for (const event of events) {
      if (event.seq <= this.last) continue; // seen
      if (event.seq !== this.last + 1) {
        this.#ask(); // a gap: what is missing, and all after it, comes again
        break;
      }
      this.last = event.seq;
      fresh.push(event);
      if (event.type === "done") this.done = true;
    }
    if (fresh.length) this.onEvents(fresh);
    if (this.done) this.#finish();
  }

  #ask() {
    if (this.socket?.readyState !== WebSocket.OPEN || this.asked === this.last) return;
    this.asked = this.last;
    this.socket.send(JSON.stringify({ action: "follow", run_id: this.urls.id, after: this.last }));
    this.#later(() => (this.asked = null), 1000);
  }

  #connect() {
    if (!this.urls.websocket) return this.#poll();
    let opened = false;
    const url = this.urls.websocket + (this.urls.websocket.includes("?") ? "&" : "?") + `after=${this.last}`;
    const socket = (this.socket = new WebSocket(url));
    let heard = Date.now();
    const watch = setInterval(() => {
      const silent = Date.now() - heard;
      if (silent > SILENT_MS + ANSWER_MS) socket.close();
      else if (silent > SILENT_MS && socket.readyState === WebSocket.OPEN) {
        socket.send('{"action":"ping"}');
        this.asked = null;
        this.#ask(); // were the last frame lost, or this follower forgotten, nothing else would tell
      }
    }, ANSWER_MS / 2);
    const slow = setTimeout(() => opened || socket.close(), ANSWER_MS);
    socket.onopen = () => {
      opened = true;
      this.failures = 0;
      this.onState("live");
    };
    socket.onmessage = (message) => {
      heard = Date.now();
      const said = JSON.parse(message.data);
      if (said.events) this.accept(said.events);
    };
    socket.onclose = () => {
      clearInterval(watch);
      clearTimeout(slow);
      if (this.socket === socket) this.socket = null;
      if (this.done) return;
      this.failures += 1;
      this.onState("lost");
      const wait = Math.min(FIRST_MS * 2 ** (this.failures - 1), MOST_MS) * (0.7 + Math.random() * 0.6);
      this.#later(() => this.#reconnect(), wait);
    };
  }

  // A new ticket first: the old one may have run out.
  async #reconnect() {
    if (this.done || this.socket) return;
    try {
      const answer = await fetch(this.urls.run, { headers: { Accept: "application/json" } });
      this.urls.websocket = answer.ok ? (await answer.json()).websocket_url : this.urls.websocket;
      await this.#read(); // what was said meanwhile is seen now, whether or not the WebSocket comes back
    } catch {
      return this.#later(() => this.#reconnect(), Math.min(FIRST_MS * 2 ** this.failures++, MOST_MS));
    }
    if (this.done || this.socket) return;
    if (this.failures > FAILURES) this.#poll();
    else this.#connect();
  }

  async #poll() {
    if (this.done || this.socket) return;
    let wait = POLL_MS;
    try {
      await this.#read();
      this.onState(this.done ? "finished" : "polling");
    } catch {
      this.onState("lost");
      wait = POLL_MS * 3;
    }
    if (this.done) return;
    this.polled += wait;
    if (this.urls.websocket && this.polled > RETRY_MS) {
      this.polled = 0;
      this.failures = FAILURES;
      return this.#connect();
    }
    this.#later(() => this.#poll(), wait);
  }

  async #read() {
    for (;;) {
      const answer = await fetch(`${this.urls.log}?after=${this.last}&limit=${PAGE}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const said = await answer.json();
      this.accept(said.events);
      if (said.next_cursor === null || !said.events.length || this.done) return;
    }
  }

  #again() {
    if (this.done || this.socket) return;
    this.failures = Math.min(this.failures, 1);
    this.#stopTimers();
    this.#reconnect();
  }

  #finish() {
    this.#stopTimers();
    this.socket?.close();
    this.onState("finished");
  }

  #later(what, wait) {
    const timer = setTimeout(() => (this.timers.delete(timer), what()), wait);
    this.timers.add(timer);
  }

  #stopTimers() {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
  }
}
