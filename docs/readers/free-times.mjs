// Free times from Redis in plain Node.js; docs/redis-keys.md has the format.
//
//   node free-times.mjs HOST:PORT/DB|/path/to/socket#DB ACCOUNT EVENT_TYPE FIRST_DAY LAST_DAY [MINUTES]
//
// Prints JSON: {"starts": [ISO instants], "missing": [days to ask the pipeline for], "late": [days past their life]}.
import net from "node:net";

const CRLF = "\r\n";

/** Send commands (arrays of strings) over one connection; their answers, in order. */
export function redis(address, commands) {
  return new Promise((resolve, reject) => {
    const socket = net.createConnection(address);
    let seen = Buffer.alloc(0);
    socket.on("error", reject);
    socket.on("connect", () => socket.write(commands.map(encoded).join("")));
    socket.on("data", (chunk) => {
      seen = Buffer.concat([seen, chunk]);
      const answers = [];
      let at = 0;
      while (answers.length < commands.length) {
        const found = parsed(seen, at);
        if (found === undefined) return;
        answers.push(found.value);
        at = found.next;
      }
      socket.end();
      const failed = answers.find((answer) => answer instanceof Error);
      if (failed) reject(failed);
      else resolve(answers);
    });
  });
}

function encoded(parts) {
  const bulk = parts.map((part) => `$${Buffer.byteLength(part)}${CRLF}${part}${CRLF}`);
  return `*${parts.length}${CRLF}${bulk.join("")}`;
}

/** One answer of Redis (RESP2) from `at` on; undefined while it is not whole. */
function parsed(bytes, at) {
  const end = bytes.indexOf(CRLF, at);
  if (end < 0) return undefined;
  const kind = String.fromCharCode(bytes[at]);
  const text = bytes.toString("utf8", at + 1, end);
  let next = end + 2;
  if (kind === "+") return { value: text, next };
  if (kind === "-") return { value: new Error(text), next };
  if (kind === ":") return { value: Number(text), next };
  const size = Number(text);
  if (size < 0) return { value: null, next };
  if (kind === "$") {
    if (bytes.length < next + size + 2) return undefined;
    return { value: bytes.toString("utf8", next, next + size), next: next + size + 2 };
  }
  const items = [];
  for (let n = 0; n < size; n++) {
    const item = parsed(bytes, next);
    if (item === undefined) return undefined;
    items.push(item.value);
    next = item.next;
  }
  return { value: items, next };
}

/** What may be booked of whole local days; null when the event type is not in Redis. */
export async function freeTimes({ address, database, account, eventType, firstDay, lastDay, minutes, now }) {
  const prefix = `calcom:v1:{${account}}:slots:`;
  const select = ["SELECT", String(database)];
  const [, [typeText]] = await redis(address, [select, ["MGET", `${prefix}type:${eventType}`]]);
  const type = record(typeText);
  if (type === null) return null;
  const length = minutes ?? type.duration_minutes;
  const days = daysBetween(laterOf(firstDay, localDay(now, type.zone)), lastDay);
  if (days.length === 0) return { starts: [], missing: [], late: [] };
  const keys = days.map((day) => `${prefix}day:${eventType}:${length}:${type.zone}:${day}`);
  const [, values] = await redis(address, [select, ["MGET", ...keys]]);
  const answer = { starts: [], missing: [], late: [] };
  const earliest = now / 1000 + type.minimum_notice_minutes * 60;
  values.forEach((text, n) => {
    const day = record(text);
    if (day === null) return answer.missing.push(days[n]);
    if (day.fresh_until <= now) answer.late.push(days[n]);
    const free = day.slots.filter(([start, left]) => start >= earliest && (left == null || left > 0));
    answer.starts.push(...free.map(([start]) => new Date(start * 1000).toISOString()));
  });
  return answer;
}

function record(text) {
  const found = text === null ? null : JSON.parse(text);
  return found !== null && found.v === 2 ? found : null;
}

function localDay(now, zone) {
  return new Intl.DateTimeFormat("en-CA", { timeZone: zone, dateStyle: "short" }).format(new Date(now));
}

function laterOf(one, other) {
  return one > other ? one : other;
}

function daysBetween(first, last) {
  const days = [];
  for (let at = Date.parse(first); at <= Date.parse(last); at += 86_400_000) {
    days.push(new Date(at).toISOString().slice(0, 10));
  }
  return days;
}

function addressOf(text) {
  const isSocket = text.startsWith("/");
  const [place, database = "0"] = text.split(isSocket ? "#" : "/");
  if (isSocket) return { address: { path: place }, database };
  const [host, port] = place.split(":");
  return { address: { host, port: Number(port) }, database };
}

if (process.argv[1]?.endsWith("free-times.mjs")) {
  const [where, account, eventType, firstDay, lastDay, minutes] = process.argv.slice(2);
  const length = minutes === undefined ? undefined : Number(minutes);
  const now = Date.now();
  const found = await freeTimes({ ...addressOf(where), account, eventType, firstDay, lastDay, minutes: length, now });
  console.log(JSON.stringify(found));
}
