// The rendered policy, statement by statement, and the light on the one that decides.

import { inLines } from "./step.js";
import { made, write } from "./text.js";

const list = () => document.getElementById("statements");

/** What the service says of a statement, with the text for it. */
const REASONS = [
  [/^it is about this request$/, "because.this"],
  [/^it is about other actions$/, "because.actions"],
  [/^it is about other resources$/, "because.resources"],
  [/^its condition (?<operator>\S+) on `(?<name>[^`]+)` does not hold$/, "because.unmet"],
  [/^its condition (?<operator>\S+) is on `(?<name>[^`]+)`, which the request lacks$/, "because.lacks"],
];

/** The policy that is shown, as JSON. */
let shown;

/** Shows the policy of a grant without any light. */
export function show(grant, policy) {
  shown = JSON.stringify([grant, policy]);
  write(document.getElementById("policy-title"), "policy.title", { grant });
  list().replaceChildren(...policy.Statement.map((statement, place) => {
    const { Effect: effect, ...rest } = statement;
    const item = document.createElement("li");
    item.id = `statement-${place}`;
    // Links come here.
    item.tabIndex = -1;
    const [text, because] = ["pre", "p"].map((name) => document.createElement(name));
    text.textContent = inLines(JSON.stringify(rest, null, 2));
    because.hidden = true;
    item.append(made("h3", "policy.statement", { place, effect }), text, because);
    return item;
  }));
}

/** Puts the lights out, where another policy decided. */
export function dim() {
  [...list().children].forEach((item) => {
    item.className = "";
    item.querySelector("p").hidden = true;
  });
}

/**
 * Lights up the statement that decides and says at each what it had to do with it. Answers where to look. What is explained may
 * be the policy of another grant than the token's.
 */
export function light({ Grant, Policy, Statements, DecidedBy, Allowed }) {
  if (shown !== JSON.stringify([Grant, Policy])) {
    show(Grant, Policy);
  }
  const about = ({ Because }) => !/other actions/.test(Because);
  const places = [];
  [...list().children].forEach((item, place) => {
    const judged = Statements[place];
    const decides = judged.Statement === DecidedBy;
    // Where none decides, those about the same action came closest.
    const nearest = !DecidedBy && about(judged);
    item.className = decides ? (Allowed ? "allows" : "denies") : nearest ? "nearest" : "";
    const mark = document.createElement("span");
    mark.className = "mark";
    if (decides || nearest) {
      write(mark, decides ? "policy.decides" : "policy.nearest");
      places.push(place);
    }
    const said = reason(judged.Because);
    const because = item.querySelector("p");
    because.replaceChildren(mark, said);
    because.hidden = false;
  });
  return places;
}

/** A reason in the page's language, or in the service's own words if it has others. */
function reason(because) {
  for (const [form, key] of REASONS) {
    const found = because.match(form);
    if (found) {
      return made("span", key, found.groups);
    }
  }
  return Object.assign(document.createElement("span"), { lang: "en", textContent: `${because}.` });
}

/** The folder that the first Allow with a key is about: up to the slash before its first wildcard. */
export function folder(policy) {
  const resources = policy.Statement.filter(({ Effect }) => Effect === "Allow").flatMap(({ Resource }) => Resource);
  const keys = resources.map((resource) => resource.split(":").slice(4).join(":")).filter((path) => path.includes("/"));
  const fixed = (keys[0] ?? "/").replace(/[*?].*$/, "");
  return fixed.slice(fixed.indexOf("/") + 1, fixed.lastIndexOf("/") + 1);
}

/** The bucket that the policy is about, of those that there are; else the first. */
export function bucket(policy, buckets) {
  const text = JSON.stringify(policy.Statement);
  const named = buckets.find(({ Name }) => [`:${Name}/`, `:${Name}"`].some((part) => text.includes(part)));
  return named ?? buckets[0];
}
