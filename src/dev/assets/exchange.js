// One request and its answer as the browser saw them, for the picture: what was sent, what came back, and how long it took.

/** The server cannot be reached. `exchange` is what was sent. */
export class Unreachable extends Error {
  constructor(exchange) {
    super(`${new URL(exchange.request.url).origin} cannot be reached`);
    this.exchange = exchange;
  }
}

/** Sends a request with `fetch`. Answers the response and the exchange, whose answer has no body yet. */
export async function send(url, { method = "GET", headers = {}, body } = {}) {
  const exchange = { request: { method, url: String(new URL(url, location)), headers, body } };
  const began = performance.now();
  try {
    // Without what the browser itself would add: at a 401 it would ask for a password in a window of its own.
    const response = await fetch(url, { method, headers, body, credentials: "omit", cache: "no-store" });
    exchange.ms = performance.now() - began;
    exchange.answer = { status: response.status, headers: Object.fromEntries(response.headers) };
    return { response, exchange };
  } catch {
    throw new Unreachable(exchange);
  }
}

/** The same for a body whose progress is of interest: `fetch` does not tell how much has gone. */
export function upload(url, { method, headers = {}, body, shown }, progress) {
  const exchange = { request: { method, url: String(new URL(url, location)), headers, body: shown } };
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    Object.entries(headers).forEach(([name, value]) => request.setRequestHeader(name, value));
    request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 1);
    request.onload = () => {
      exchange.ms = performance.now() - began;
      const lines = request.getAllResponseHeaders().trim().split("\r\n");
      const pairs = lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
      exchange.answer = { status: request.status, headers: Object.fromEntries(pairs), body: request.responseText };
      resolve(exchange);
    };
    request.onerror = () => reject(new Unreachable(exchange));
    request.send(body);
  });
}
