// One step in full: what was sent, what came back, and what the service recorded about it.

import { clear, text, write } from "./text.js";

const element = (id) => document.getElementById(id);
/** Longer texts, such as tokens, are cut. */
const LONGEST = 120;

/** A detail is `{ title, about, exchange, record, verdict }`; `verdict` fills an element, if there is something to judge. */
export function show(detail) {
  const { title = { key: "step.waiting" }, about, exchange, record, verdict } = detail ?? {};
  write(element("step-title"), title.key, title.values);
  about ? write(element("step-about"), about.key, about.values) : clear(element("step-about"));
  element("verdict").hidden = !verdict;
  verdict?.(element("verdict"));
  element("step-request").textContent = exchange ? request(exchange.request) : "";
  element("step-answer").textContent = exchange ? answer(exchange.answer) : "";
  element("record").hidden = !record;
  if (record) {
    element("step-audit").textContent = record.Audit.map((line) => cutJson(line)).join("\n") || text("step.no-record");
    element("step-log").textContent = record.Log.map(logLine).join("\n") || text("step.no-record");
  }
}

/** Brings the step into view where the picture is one column and the step is far below what was pressed. */
export function reveal() {
  if (matchMedia("(max-width: 47.99rem)").matches) {
    element("step").scrollIntoView({ block: "start" });
  }
}

const cut = (value) =>
  value.length > LONGEST ? `${value.slice(0, LONGEST / 2)}…(${value.length})` : value;

const cutJson = (value, indent) =>
  JSON.stringify(value, (name, inner) => (typeof inner === "string" && name !== "Policy" ? cut(inner) : inner), indent);

/** Headers that say something about the service or OSS. */
const TELLING = /^(authorization|content-type|etag|location|ratelimit.*|retry-after|www-authenticate|x-(appserver|emulator|oss|request)-.*)$/;

const lines = (headers) =>
  Object.entries(headers)
    .filter(([name]) => TELLING.test(name))
    .map(([name, value]) => `${name}: ${cut(value)}\n`)
    .join("");

const request = ({ method, url, headers, body }) => `${method} ${url}\n${lines(headers)}${body ? `\n${shown(body)}` : ""}`;

function answer(answer) {
  if (!answer) {
    return text("step.no-answer");
  }
  return `${answer.status}\n${lines(answer.headers)}\n${answer.body ? shown(answer.body) : text("step.empty")}`;
}

function shown(body) {
  if (body instanceof Blob) {
    return text("step.blob", { type: body.type, bytes: body.size.toLocaleString("en") });
  }
  if (typeof body !== "string") {
    return inLines(cutJson(body, 2));
  }
  return inLines(body.startsWith("{") ? cutJson(JSON.parse(body), 2) : body.replaceAll("><", ">\n<"));
}

/** JSON in lines, but each list of texts in one, as people write policies. */
export const inLines = (json) =>
  json.replace(/\[\s+([^[\]{}]*?)\s+\]/g, (_, list) => `[${list.replace(/\s*\n\s*/g, " ")}]`);

/** As the terminal shows a line: time, level, message, fields. */
function logLine({ timestamp, level, message, target, spans, ...fields }) {
  const shownFields = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
  return [timestamp?.slice(11, 23), level, message, ...shownFields].join(" ");
}
