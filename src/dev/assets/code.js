// The code of an app that does what the page did, for the chosen client, user and grant.

import { form, url } from "./code-signed.js";
import { token } from "./code-token.js";
import { made, write } from "./text.js";

const element = (id) => document.getElementById(id);
const NAMES = ["curl", "js", "mini", "python", "android", "ios"];
const WAYS = { token, form, url };
/** The latest token, and the code for it. */
let shown;
let samples;
let chosen = "curl";

/** Shows the code for a token: `asked` is what was asked for, `folder` where its objects are. */
export function show(issued, way) {
  shown = issued;
  const { setup, bucket, folder, client, user, asked } = issued;
  const query = new URLSearchParams({ Grant: asked.Grant });
  Object.entries(asked.Parameters ?? {}).forEach(([name, value]) => query.set(`Parameters.${name}`, value));
  if (asked.Policy) {
    query.set("Policy", asked.Policy);
  }
  samples = WAYS[way]({
    origin: location.origin,
    url: `${location.origin}/v1/token?${query}`,
    oss: setup.OssEndpoint,
    bucket: bucket.Name,
    region: bucket.Region,
    folder,
    key: `${folder}hello.txt`,
    user: client.ForUsers ? user : undefined,
    basic: `${client.Id}:${client.Secret}`,
    form: { Grant: client.UploadGrant, Name: "cat.jpg", ContentType: "image/jpeg" },
    put: { Grant: client.PutUrlGrant, Method: "PUT", Key: `${folder}cat.jpg`, ContentType: "image/jpeg" },
  });
  const who = client.ForUsers ? `${client.Id} (${user})` : client.Id;
  const grant = { token: asked.Grant, form: client.UploadGrant, url: client.PutUrlGrant }[way];
  write(element("code-about"), `code.about-${way}`, { who, grant });
  if (!element("code-tabs").children.length) {
    build();
  }
  NAMES.forEach((name) => (element(`code-${name}`).hidden = !(name in samples)));
  choose(chosen in samples ? chosen : "curl");
}

/** The same for another way of uploading. */
export const change = (way) => shown && show(shown, way);

function build() {
  element("code-tabs").append(...NAMES.map((name) => {
    const tab = Object.assign(made("button", `code.${name}`), { type: "button", id: `code-${name}` });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", "code-panel");
    tab.addEventListener("click", () => choose(name));
    return tab;
  }));
  element("code-tabs").addEventListener("keydown", ({ key }) => {
    const names = NAMES.filter((name) => name in samples);
    const step = { ArrowRight: 1, ArrowLeft: names.length - 1 }[key];
    if (step) {
      choose(names[(names.indexOf(chosen) + step) % names.length]);
      element(`code-${chosen}`).focus();
    }
  });
  element("copy").addEventListener("click", async () => {
    // Some browsers ask first, and wait for as long as nobody answers.
    const unanswered = new Promise((resolve) => setTimeout(resolve, 2000, false));
    const copied = navigator.clipboard?.writeText(samples[chosen]).then(() => true, () => false);
    const isCopied = await Promise.race([copied, unanswered]);
    write(element("copy"), isCopied ? "code.copied" : "code.not-copied");
    setTimeout(() => write(element("copy"), "code.copy"), 3000);
  });
}

function choose(name) {
  chosen = name;
  NAMES.forEach((other) => {
    element(`code-${other}`).setAttribute("aria-selected", String(other === name));
    element(`code-${other}`).tabIndex = other === name ? 0 : -1;
  });
  element("code-panel").setAttribute("aria-labelledby", `code-${name}`);
  element("code-text").textContent = samples[name];
}
