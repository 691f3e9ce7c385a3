// The emulated OSS, asked straight from the browser with a token.

import { send, upload } from "./exchange.js";
import { encode, encodePath, signed } from "./signature.js";

/** A browser cannot send such a request. `key` is that of the text that says why. */
export class Unsendable extends Error {}

/** One bucket, as far as one token opens it. Answers are `{ ok, status, exchange, … }`: a refusal is an answer, too. */
export class Bucket {
  constructor(endpoint, { Name, Region }, token) {
    Object.assign(this, { endpoint, name: Name, region: Region, token });
  }

  /** The object's bytes as `blob`. */
  async read(key) {
    const { response, exchange } = await this.#ask("GET", key);
    if (!response.ok) {
      return refusal(exchange, await response.text());
    }
    const blob = await response.blob();
    exchange.answer.body = blob;
    return { ...answer(exchange), blob };
  }

  async remove(key) {
    const { response, exchange } = await this.#ask("DELETE", key);
    return response.ok ? answer(exchange) : refusal(exchange, await response.text());
  }

  /** The first `most` keys below the prefix as `keys`. */
  async list(prefix, most = 60) {
    const { response, exchange } = await this.#ask("GET", "", { "list-type": "2", "max-keys": String(most), prefix });
    const text = await response.text();
    if (!response.ok) {
      return refusal(exchange, text);
    }
    exchange.answer.body = text;
    const page = new DOMParser().parseFromString(text, "application/xml");
    const keys = Array.from(page.querySelectorAll("Contents > Key"), (key) => key.textContent);
    const more = page.querySelector("IsTruncated")?.textContent === "true";
    return { ...answer(exchange), keys, more };
  }

  /** Uploads with progress, from 0 to 1. */
  async write(key, blob, progress = () => {}) {
    const type = blob.type || "application/octet-stream";
    const { url, headers } = await this.#request("PUT", key, {}, { "content-type": type });
    const exchange = await upload(url, { method: "PUT", headers, body: blob, shown: blob }, progress);
    return answered(exchange);
  }

  async #ask(method, key, query = {}) {
    const { url, headers } = await this.#request(method, key, query);
    return send(url, { method, headers });
  }

  async #request(method, key, query, headers = {}) {
    if (key.split("/").some((part) => part === "." || part === "..")) {
      // OSS has such keys, but browsers resolve them before they send.
      throw Object.assign(new Unsendable(), { key: "error.dots" });
    }
    const path = `/${this.name}/${key}`;
    const { region, token } = this;
    const pairs = Object.entries(query).map((pair) => pair.map(encode).join("="));
    const url = `${this.endpoint}${encodePath(path)}${pairs.length ? "?" : ""}${pairs.join("&")}`;
    return { url, headers: await signed({ method, path, query, headers, region, token }) };
  }
}

/** The answer of an exchange that has its body as text. */
export function answered(exchange) {
  const { status, body } = exchange.answer;
  // 203: the object is stored, and the body is the error of its callback.
  return status < 300 && status !== 203 ? answer(exchange) : refusal(exchange, body);
}

function answer(exchange) {
  const { status, headers } = exchange.answer;
  const decision = headers["x-emulator-decision"];
  return {
    ok: status < 300,
    status,
    exchange,
    requestId: headers["x-oss-request-id"],
    decision: decision ? JSON.parse(decision) : undefined,
  };
}

function refusal(exchange, text) {
  exchange.answer.body = text;
  const error = new DOMParser().parseFromString(text, "application/xml");
  const said = (name) => error.querySelector(`Error > ${name}`)?.textContent ?? "";
  return { ...answer(exchange), code: said("Code"), message: said("Message") };
}
