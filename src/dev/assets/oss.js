// The emulated OSS, asked straight from the browser with a token.

import { encode, encodePath, signed } from "./signature.js";

/** One bucket, as far as one token opens it. Answers are `{ ok, status, … }`: a refusal is an answer, too. */
export class Bucket {
  constructor(endpoint, { Name, Region }, token) {
    Object.assign(this, { endpoint, name: Name, region: Region, token });
  }

  /** The object's bytes as `blob`. */
  async read(key) {
    const response = await this.#ask("GET", key);
    return response.ok ? { ...answer(response), blob: await response.blob() } : refusal(response);
  }

  async remove(key) {
    const response = await this.#ask("DELETE", key);
    return response.ok ? answer(response) : refusal(response);
  }

  /** The first `most` keys below the prefix as `keys`. */
  async list(prefix, most = 60) {
    const response = await this.#ask("GET", "", { "list-type": "2", "max-keys": String(most), prefix });
    if (!response.ok) {
      return refusal(response);
    }
    const page = new DOMParser().parseFromString(await response.text(), "application/xml");
    const keys = Array.from(page.querySelectorAll("Contents > Key"), (key) => key.textContent);
    const more = page.querySelector("IsTruncated")?.textContent === "true";
    return { ...answer(response), keys, more };
  }

  /** Uploads with progress, from 0 to 1. By XMLHttpRequest, because fetch does not tell how much has gone. */
  async write(key, blob, progress = () => {}) {
    const type = blob.type || "application/octet-stream";
    const { url, headers } = await this.#request("PUT", key, {}, { "content-type": type });
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("PUT", url);
      Object.entries(headers).forEach(([name, value]) => request.setRequestHeader(name, value));
      request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 1);
      request.onload = () => {
        const got = {
          ok: request.status < 300,
          status: request.status,
          headers: { get: (name) => request.getResponseHeader(name) },
          text: async () => request.responseText,
        };
        resolve(got.ok ? answer(got) : refusal(got));
      };
      request.onerror = () => reject(new Error("the emulated OSS cannot be reached"));
      request.send(blob);
    });
  }

  async #ask(method, key, query = {}) {
    const { url, headers } = await this.#request(method, key, query);
    return fetch(url, { method, headers, cache: "no-store" }).catch(() => {
      throw new Error("the emulated OSS cannot be reached");
    });
  }

  async #request(method, key, query, headers = {}) {
    if (key.split("/").some((part) => part === "." || part === "..")) {
      // OSS has such keys, but browsers resolve them before they send.
      throw new Error("a browser cannot ask for a key with a part `.` or `..`");
    }
    const path = `/${this.name}/${key}`;
    const { region, token } = this;
    const pairs = Object.entries(query).map((pair) => pair.map(encode).join("="));
    const url = `${this.endpoint}${encodePath(path)}${pairs.length ? "?" : ""}${pairs.join("&")}`;
    return { url, headers: await signed({ method, path, query, headers, region, token }) };
  }
}

function answer(response) {
  const decision = response.headers.get("x-emulator-decision");
  return {
    ok: response.ok,
    status: response.status,
    requestId: response.headers.get("x-oss-request-id"),
    decision: decision ? JSON.parse(decision) : undefined,
  };
}

async function refusal(response) {
  const error = new DOMParser().parseFromString(await response.text(), "application/xml");
  const said = (name) => error.querySelector(`Error > ${name}`)?.textContent ?? "";
  return { ...answer(response), code: said("Code"), message: said("Message") };
}
