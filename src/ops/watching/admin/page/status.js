// The status page: what /api/events tells each second, sessions page by page, and one picture at a time.

const at = (id) => document.getElementById(id);
const MINUTE = 60;
// Of the page's own URL a login may be a part, which no request may have.
const here = (path) => new URL(path, window.location.origin);
const history = new Map(); // of each channel, bits a second of the last minute
let latest = null;

const element = (name, text, attributes = {}) => {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

const rate = (bits) => {
  if (!bits) return "–";
  const units = ["b/s", "kb/s", "Mb/s", "Gb/s"];
  let place = 0;
  while (bits >= 1000 && place < units.length - 1) { bits /= 1000; place += 1; }
  return `${bits.toFixed(place > 1 ? 2 : 0)} ${units[place]}`;
};

const count = (number) => (number === null || number === undefined ? "–" : number.toLocaleString("en"));

const size = (bytes) => (bytes === null || bytes === undefined ? "–" : `${(bytes / 1e6).toFixed(1)} MB`);

const span = (seconds) => {
  const all = Math.floor(seconds);
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min`;
  if (all < 86400) return `${Math.floor(all / 3600)} h ${Math.floor(all % 3600 / 60)} min`;
  return `${Math.floor(all / 86400)} d ${Math.floor(all % 86400 / 3600)} h`;
};

const spark = (name, values) => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", `0 0 ${MINUTE - 1} 20`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const most = Math.max(...values, 1);
  svg.setAttribute("aria-label", `Bit rate of ${name} in the last minute, up to ${rate(Math.max(...values))}`);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  const from = MINUTE - values.length;
  line.setAttribute("points", values.map((value, place) => `${from + place},${19 - 18 * value / most}`).join(" "));
  line.setAttribute("vector-effect", "non-scaling-stroke");
  svg.append(line);
  return svg;
};

// What stays the same is left alone: who uses the keyboard keeps the focus, and a reader hears nothing.
const rows = new Map();
const showChannels = (channels) => {
  const body = at("channel-rows");
  const named = new Set(channels.map((channel) => channel.name));
  for (const [name, row] of rows) {
    if (!named.has(name)) { row.remove(); rows.delete(name); history.delete(name); }
  }
  if (channels.length === 0) {
    body.replaceChildren(element("tr"));
    const cell = element("td", "There are no channels.", { colspan: 7 });
    body.firstChild.append(cell);
    return;
  }
  if (rows.size === 0) body.replaceChildren();
  let before = null;
  for (const channel of channels) {
    const values = history.get(channel.name) ?? [];
    values.push(channel.bits_per_second ?? 0);
    if (values.length > MINUTE) values.shift();
    history.set(channel.name, values);
    let row = rows.get(channel.name);
    if (!row) {
      row = element("tr", null, { "data-channel": channel.name });
      row.append(element("th", channel.name, { scope: "row" }));
      for (let cell = 0; cell < 5; cell += 1) row.append(element("td"));
      const show = element("button", "Show", { type: "button", "aria-label": `Show ${channel.name}` });
      show.addEventListener("click", () => play(channel.name));
      row.append(element("td"));
      row.lastChild.append(show);
      rows.set(channel.name, row);
    }
    const [, state, bits, line, lost, viewers] = row.children;
    if (state.dataset.state !== channel.state) {
      state.dataset.state = channel.state;
      state.replaceChildren(element("span", channel.state, { class: `state ${channel.state}` }));
    }
    bits.textContent = rate(channel.bits_per_second);
    line.replaceChildren(spark(channel.name, values));
    lost.textContent = count(channel.lost);
    viewers.textContent = count(Object.values(channel.viewers ?? {}).reduce((sum, each) => sum + each, 0));
    const place = before ? before.nextSibling : body.firstChild;
    if (place !== row) body.insertBefore(row, place);
    before = row;
  }
};

const showEngine = (overview) => {
  const parts = [
    ["sessions", overview.sessions.now, overview.sessions.limit],
    ["connections", overview.connections.now, overview.connections.limit],
    ["media out, set up", rate(overview.egress_bits_per_second.now), rate(overview.egress_bits_per_second.limit)],
    ...overview.tables.map((table) => [`poll table ${table.table} (${table.class})`, table.entries, table.capacity]),
    ...overview.queues.map((queue) => [`queue ${queue.queue}`, `${queue.depth} waiting`, `${queue.workers} workers`]),
  ];
  at("engine-rows").replaceChildren(...parts.map(([part, now, room]) => {
    const row = element("tr");
    row.append(element("th", part, { scope: "row" }), element("td", typeof now === "number" ? count(now) : now), element("td", typeof room === "number" ? count(room) : room));
    return row;
  }));
};

const showNotices = (overview) => {
  const notices = [];
  if (!overview.live) notices.push("A part of the program stands still: see /live.");
  if (overview.draining_seconds_left !== null) notices.push(`Draining: nobody is taken in any more; ${span(overview.draining_seconds_left)} are left.`);
  if (overview.config.refused) notices.push(`The config that was read last is refused, and the one before goes on:\n${overview.config.refused}`);
  if (overview.config.waiting_for_a_start.length) notices.push(`Keys of the config that wait for the next start: ${overview.config.waiting_for_a_start.join("; ")}`);
  const box = at("notices");
  if (box.dataset.said === notices.join("\n")) return;
  box.dataset.said = notices.join("\n");
  box.replaceChildren(...notices.map((notice) => element("p", notice, { class: "notice" })));
};

const say = (id, text) => { if (at(id).textContent !== text) at(id).textContent = text; };

const show = (overview) => {
  latest = overview;
  say("program", `${overview.version} (${overview.revision}), config ${overview.config.revision}, for ${span(overview.uptime_seconds)}`);
  const live = overview.channels.filter((channel) => channel.state === "live").length;
  say("channel-count", `${overview.channels.length}, ${live} live`);
  showNotices(overview);
  showChannels(overview.channels);
  showEngine(overview);
};

const follow = () => {
  const events = new EventSource(here("/api/events"));
  events.addEventListener("overview", (event) => show(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    say("program", "Not connected: the program is stopped, or as many pages are open as may be. It is tried again.");
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
  });
};

// Sessions, page by page.

let next = null;
const sessionRow = (session) => {
  const row = element("tr", null, { "data-session": session.session });
  row.append(element("th", session.session, { scope: "row" }));
  const cells = [
    session.client, session.channel, `${session.transport ?? "–"}${session.state === "playing" ? "" : `, ${session.state}`}`, span(session.seconds),
    size(session.bytes), count(session.missed), count(session.lost), session.jitter_ms === null ? "–" : `${session.jitter_ms.toFixed(1)} ms`,
  ];
  row.append(...cells.map((text) => element("td", text)), element("td", session.agent ?? "–", { class: "agent" }));
  const end = element("button", "End", { type: "button", "aria-label": `End session ${session.session}` });
  end.addEventListener("click", () => endSession(session.session, row));
  row.append(element("td"));
  row.lastChild.append(end);
  return row;
};

const wrong = async (reply) => {
  const said = await reply.json().catch(() => ({}));
  return said.error ?? `${reply.status} ${reply.statusText}`;
};

const load = async (from) => {
  const form = new FormData(at("filter"));
  const query = new URLSearchParams([...form].filter(([, value]) => value !== ""));
  query.set("limit", "50");
  if (from !== null) query.set("after", from);
  const reply = await fetch(here(`/api/sessions?${query}`)).catch(() => null);
  if (!reply?.ok) return say("session-said", reply ? await wrong(reply) : "Not connected.");
  const page = await reply.json();
  const made = page.sessions.map(sessionRow);
  if (from === null) at("session-rows").replaceChildren(...made); else at("session-rows").append(...made);
  next = page.next_after;
  at("more").hidden = next === null;
  say("session-count", count(page.matching));
  say("session-said", page.matching === 0 ? "Nobody watches." : "");
};

// Who was refused lately, of the same clients.

const refusedRow = (known) => {
  const row = element("tr");
  const cells = [
    `${known.what}${known.status === null ? "" : ` (${known.status})`}: ${known.reason}`, [known.method, known.asked].filter(Boolean).join(" ") || "–",
    count(known.times), `${span(known.last_seconds_ago)} ago`,
  ];
  row.append(element("th", known.client, { scope: "row" }), ...cells.map((text) => element("td", text)), element("td", known.agent ?? "–", { class: "agent" }));
  return row;
};

const loadRefused = async () => {
  const client = new FormData(at("filter")).get("client");
  const reply = await fetch(here(`/api/refusals${client ? `?${new URLSearchParams({ client })}` : ""}`)).catch(() => null);
  if (!reply?.ok) return;
  const { lately } = await reply.json();
  say("refused-count", lately.length > 50 ? `the last 50 of ${count(lately.length)}` : count(lately.length));
  at("refused-rows").replaceChildren(...lately.slice(0, 50).map(refusedRow));
};

const endSession = async (number, row) => {
  const reply = await fetch(here(`/api/sessions/${number}`), { method: "DELETE" }).catch(() => null);
  if (reply?.ok) { row.remove(); return say("session-said", `Session ${number} is ended.`); }
  say("session-said", reply ? await wrong(reply) : "Not connected.");
};

at("filter").addEventListener("submit", (event) => { event.preventDefault(); load(null); loadRefused(); });
at("more").addEventListener("click", () => load(next));
// While nobody reads further, and nobody is about to end one.
setInterval(() => {
  const busy = at("session-rows").contains(document.activeElement) || at("session-rows").children.length > 50;
  if (!document.hidden && !busy) load(null);
  if (!document.hidden) loadRefused();
}, 5000);

// One picture at a time.

let stop = null;
const play = async (name) => {
  stop?.();
  const [video, abort] = [at("video"), new AbortController()];
  at("picture").hidden = false;
  at("picture-title").textContent = name;
  say("picture-said", "It begins …");
  stop = () => { abort.abort(); video.removeAttribute("src"); video.load(); at("picture").hidden = true; stop = null; };
  const path = name.split("/").map(encodeURIComponent).join("/");
  try {
    const reply = await fetch(here(`/api/channels/${path}/preview.mp4`), { signal: abort.signal });
    if (!reply.ok) return say("picture-said", await wrong(reply));
    const type = reply.headers.get("Content-Type");
    if (!window.MediaSource?.isTypeSupported(type)) return say("picture-said", `This browser does not decode ${type}.`);
    await feed(video, reply, type);
    // It is coded otherwise from now on, or the page was too slow: it begins anew.
    if (!abort.signal.aborted) { say("picture-said", "It begins anew …"); setTimeout(() => abort.signal.aborted || play(name), 1000); }
  } catch (error) {
    if (!abort.signal.aborted) say("picture-said", `It has ended: ${error.message}`);
  }
};

const once = (target, event) => new Promise((done) => target.addEventListener(event, done, { once: true }));

const feed = async (video, reply, type) => {
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await once(source, "sourceopen");
  URL.revokeObjectURL(video.src);
  const buffer = source.addSourceBuffer(type);
  const reader = reply.body.getReader();
  video.play().catch(() => {});
  once(video, "playing").then(() => say("picture-said", "Live, without sound until it is turned on."));
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    buffer.appendBuffer(value);
    await once(buffer, "updateend");
    await keepLive(video, buffer);
  }
  if (source.readyState === "open") source.endOfStream();
};

// A page that was hidden, or a machine that was slow, goes on at the end; what has been seen is forgotten.
const keepLive = async (video, buffer) => {
  if (buffer.buffered.length === 0) return;
  const [begins, end] = [buffer.buffered.start(0), buffer.buffered.end(buffer.buffered.length - 1)];
  if (video.currentTime < buffer.buffered.start(buffer.buffered.length - 1) || end - video.currentTime > 3) video.currentTime = Math.max(begins, end - 0.3);
  if (video.currentTime - begins > 30) {
    buffer.remove(begins, video.currentTime - 10);
    await once(buffer, "updateend");
  }
};

at("picture-close").addEventListener("click", () => stop?.());
follow();
load(null);
loadRefused();
