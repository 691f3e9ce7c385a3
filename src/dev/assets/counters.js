// How often STS did not have to be asked.

import * as service from "./service.js";

const NAMES = {
  Tokens: "tokens handed out",
  Hits: "hits",
  Misses: "misses",
  Shared: "from other servers",
  Joined: "joined a call",
  StsCalls: "STS calls",
  Saved: "STS calls saved",
};
const EVERY_MS = 2000;

export function start() {
  const list = document.getElementById("counters");
  for (const [field, name] of Object.entries(NAMES)) {
    const pair = document.createElement("div");
    const [term, count] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    count.id = `count-${field}`;
    count.textContent = "–";
    pair.append(term, count);
    list.append(pair);
  }
  refresh();
  setInterval(() => document.hidden || refresh(), EVERY_MS);
}

/** Shows how they stand; where the server is gone they stay as they were. */
export async function refresh() {
  const counters = await service.counters().catch(() => ({}));
  for (const [field, count] of Object.entries(counters)) {
    document.getElementById(`count-${field}`).textContent = count.toLocaleString("en");
  }
}
