// The page's texts in English and Chinese. What is written with a key follows the switch; answers of the service and of
// OSS stay as they are.

import { EN } from "./texts-en.js";
import { ZH } from "./texts-zh.js";

const LANGUAGES = { en: { texts: EN, tag: "en" }, zh: { texts: ZH, tag: "zh-CN" } };
const STORED = "appserver-dev-language";
/** The values of an element's text, for when it is written in the other language. */
const written = new WeakMap();
let language = chosen();

function chosen() {
  const stored = localStorage.getItem(STORED);
  return stored in LANGUAGES ? stored : navigator.language.startsWith("zh") ? "zh" : "en";
}

/** A value may be a text, a number, a node, or `{ key, values }` of another text. */
const node = (value) => (value?.key ? text(value.key, value.values) : (value ?? ""));

/** The pieces of a text: `{name}` is replaced by the value of that name. */
const pieces = (key, values = {}) =>
  LANGUAGES[language].texts[key].split(/\{(\w+)\}/).map((piece, at) => (at % 2 ? node(values[piece]) : piece));

export const text = (key, values) => pieces(key, values).join("");

/** Writes a text into an element, now and whenever the language changes. */
export function write(element, key, values) {
  element.dataset.text = key;
  written.set(element, values);
  element.replaceChildren(...pieces(key, values).filter((piece) => piece !== ""));
  return element;
}

/** The accessible name of an element that has no text. */
export function label(element, key, values) {
  element.dataset.label = key;
  written.set(element, values);
  element.setAttribute("aria-label", text(key, values));
  return element;
}

/** Empties an element, also for later changes of the language. */
export function clear(element) {
  delete element.dataset.text;
  element.replaceChildren();
}

/** A new element with a text. */
export const made = (name, key, values) => write(document.createElement(name), key, values);

function writeAll() {
  document.documentElement.lang = LANGUAGES[language].tag;
  document.title = text("title");
  document.querySelectorAll("[data-text]").forEach((element) => write(element, element.dataset.text, written.get(element)));
  document.querySelectorAll("[data-label]").forEach((element) => label(element, element.dataset.label, written.get(element)));
  document.querySelectorAll("[data-hint]").forEach((element) => (element.placeholder = text(element.dataset.hint)));
}

/** Writes all texts, and makes the button switch the language. */
export function start(button) {
  const other = () => (language === "en" ? "zh" : "en");
  const show = () => {
    writeAll();
    button.textContent = LANGUAGES[other()].texts.language;
    button.lang = LANGUAGES[other()].tag;
  };
  button.addEventListener("click", () => {
    language = other();
    localStorage.setItem(STORED, language);
    show();
  });
  show();
}
