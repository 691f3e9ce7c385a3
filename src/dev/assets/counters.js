// How often STS did not have to be called.

import * as service from "./service.js";
import { made } from "./text.js";

const NAMES = ["Tokens", "Hits", "Misses", "Shared", "Joined", "Signed", "StsCalls", "Saved"];
const EVERY_MS = 2000;

export function start() {
  document.getElementById("counters").append(...NAMES.map((field) => {
    const pair = document.createElement("div");
    const count = Object.assign(document.createElement("dd"), { id: `count-${field}`, textContent: "–" });
    pair.append(made("dt", `counters.${field}`), count);
    return pair;
  }));
  setInterval(() => document.hidden || refresh(), EVERY_MS);
  return refresh();
}

/** Shows the current counts and answers them; while the server is gone the last ones stay. */
export async function refresh() {
  const counters = await service.counters().catch(() => ({}));
  for (const [field, count] of Object.entries(counters)) {
    document.getElementById(`count-${field}`).textContent = count.toLocaleString("en");
  }
  return counters;
}
