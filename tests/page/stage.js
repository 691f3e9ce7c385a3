// One browser and one page for each test, checked at the end: no errors, and no requests beyond this machine.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";

import puppeteer from "puppeteer-core";

const need = (name) => process.env[name] ?? assert.fail(`${name} is not set: run tests/page/run.sh`);

export const ORIGIN = need("PAGE_ORIGIN");
export const OSS = need("PAGE_OSS");
const SHOTS = need("PAGE_SHOTS");
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);

export const launch = () =>
  puppeteer.launch({
    executablePath: CHROMIUM ?? assert.fail("there is no chromium: run tests/all.sh, which installs it"),
    // Containers run as root and have a small /dev/shm; neither suits Chromium's sandbox. All content is ours.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
  });

/** A page of the browser with what it is to be like; `work` is a test on it. The page has its first token. */
export async function visit(browser, { width = 1200, height = 900, scheme = "light", motion = "no-preference", language = "en" }, work) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const seen = { errors: [], asked: [], refused: 0 };
  await page.evaluateOnNewDocument((language) => Object.defineProperty(navigator, "language", { get: () => language }), language);
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("console", (message) => {
    // Chromium writes a line for each answer of 4xx; those are counted and compared with the test's expectation.
    const isRefusal = message.text().startsWith("Failed to load resource: the server responded with a status of");
    if (isRefusal) {
      seen.refused += 1;
    } else if (["error", "warn"].includes(message.type())) {
      seen.errors.push(message.text());
    }
  });
  page.on("request", (request) => seen.asked.push(request.url()));
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([
    { name: "prefers-color-scheme", value: scheme },
    { name: "prefers-reduced-motion", value: motion },
  ]);
  try {
    await page.goto(`${ORIGIN}/dev/`, { waitUntil: "networkidle0" });
    await page.waitForSelector("#ask button:enabled");
    await work(page, seen);
  } catch (error) {
    await page.screenshot({ path: join(SHOTS, "failed.png"), fullPage: true });
    throw error;
  } finally {
    await context.close();
  }
  assert.deepEqual(seen.errors, []);
  const ours = (url) => [ORIGIN, OSS].some((origin) => url.startsWith(`${origin}/`)) || /^(blob|data):/.test(url);
  assert.deepEqual(seen.asked.filter((url) => !ours(url)), [], "something was asked beyond this machine's servers");
}

/** What is to be read; in a drawing there is no `innerText`. */
const TEXT = (element) => element.innerText ?? element.textContent;

/** Waits until the element's text has it, and answers the text. */
export async function reads(page, selector, wanted) {
  const has = (selector, source) => {
    const element = document.querySelector(selector);
    return element?.checkVisibility() && new RegExp(source).test(element.innerText ?? element.textContent);
  };
  try {
    await page.waitForFunction(has, { timeout: 15_000 }, selector, wanted.source);
  } catch (error) {
    const text = await page.$eval(selector, TEXT).catch(() => "(nothing)");
    throw new Error(`${selector} reads "${text}", not ${wanted}`, { cause: error });
  }
  return page.$eval(selector, TEXT);
}

export async function fill(page, selector, text) {
  await page.$eval(selector, (input) => (input.value = ""));
  await page.type(selector, text);
}

/** Chooses a client, and a grant of it. */
export async function choose(page, client, grant) {
  await page.waitForSelector("#ask button:enabled");
  await page.select("#client", client);
  await page.waitForSelector("#ask button:enabled");
  if (grant) {
    await page.select("#grant", grant);
  }
}

/** Gets the token that is chosen. */
export async function ask(page, client) {
  // What the last token left must not pass for what this one brings.
  await page.$eval("#ask-said", (said) => said.replaceChildren());
  await page.click("#ask button");
  await reads(page, "#ask-said", new RegExp(`A token for ${client}`));
  await page.waitForSelector("#ask button:enabled");
}

export async function token(page, client, grant) {
  await choose(page, client, grant);
  await ask(page, client);
}

export const shot = (page, name, options = { fullPage: true }) => page.screenshot({ path: join(SHOTS, name), ...options });

/** The id and class of each statement that is lit. */
export const lit = (page) =>
  page.$$eval("#statements li[class]:not([class=''])", (items) => items.map(({ id, className }) => `${id} ${className}`));

/** How far the content is wider than the window. */
export const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
