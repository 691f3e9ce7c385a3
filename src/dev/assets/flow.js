// The picture: app, AppServer, STS, OSS and the app's backend, with the hops between them. Each hop lights up with the latest exchange on it.

import * as step from "./step.js";
import { made, write } from "./text.js";

const NAMES = ["ask", "assume", "use", "report"];
const TEXTS = { ask: "hop.ask-token", assume: "hop.assume", use: "hop.use", report: "hop.report" };
const element = (name) => document.getElementById(`hop-${name}`);
/** The detail of the latest exchange on each hop. */
const details = {};
let chosen = "ask";

export function start() {
  NAMES.forEach((name, at) => {
    const number = Object.assign(document.createElement("span"), { className: "number", textContent: at + 1 });
    const wire = Object.assign(document.createElement("span"), { className: "wire" });
    const state = Object.assign(made("span", "hop.idle"), { className: "state" });
    const what = document.createElement("span");
    if (name === "use") {
      // Shown where the picture is one column and the app is not beside the hop.
      what.append(Object.assign(made("span", "hop.from"), { className: "from" }));
    }
    what.append(Object.assign(made("span", TEXTS[name]), { className: "what" }));
    element(name).append(number, what, wire, state);
    element(name).addEventListener("click", () => {
      choose(name);
      step.reveal();
    });
  });
  choose(chosen);
}

/** Begins a picture: what the hops showed belongs to an earlier one. */
export function reset() {
  NAMES.forEach((name) => {
    set(name, "idle", { key: "hop.idle" });
    delete details[name];
  });
  reveal("report", false);
  step.show(details[chosen]);
}

/** Shows the detail of a hop. */
export function choose(name) {
  chosen = name;
  NAMES.forEach((other) => element(other).setAttribute("aria-pressed", String(other === name)));
  step.show(details[name]);
}

/** Shows a hop that only some requests have, or hides it. */
export function reveal(name, shown) {
  element(name).hidden = !shown;
  document.getElementById(`node-${name}`).hidden = !shown;
  if (!shown && chosen === name) {
    choose("use");
  }
}

/** A request is on its way. `what` is the text of the hop, if it depends on the request. */
export function running(name, what) {
  if (what) {
    write(element(name).querySelector(".what"), what);
  }
  set(name, "running", { key: "hop.running" });
  delete details[name];
}

/**
 * It was answered: `state` is `good`, `bad` or `cached`, `said` the text at the hop, and `detail` what the step shows.
 */
export function ended(name, state, said, detail) {
  set(name, state, said);
  details[name] = detail;
  if (name === chosen) {
    step.show(detail);
  }
}

/** The text at a hop of an exchange with an answer. */
export const took = ({ answer, ms }) => ({ key: "hop.ms", values: { status: answer.status, ms: Math.max(1, Math.round(ms)) } });

function set(name, state, said) {
  element(name).dataset.state = state;
  element(name).lastElementChild.replaceWith(Object.assign(made("span", said.key, said.values), { className: "state" }));
}
