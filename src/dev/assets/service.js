// AppServer's routes, asked as any client asks them; and the few below /dev that tell what no client knows.

import { send } from "./exchange.js";

/** The service refused or failed. */
export class Refused extends Error {
  constructor(exchange) {
    const { status, body } = exchange.answer;
    super(body?.Message ?? `HTTP ${status}`);
    this.status = status;
    this.code = body?.Code ?? "?";
    this.retryAfter = exchange.answer.headers["retry-after"];
    this.exchange = exchange;
  }
}

/** The answer's body, and the exchange. */
async function exchanged(path, request) {
  const { response, exchange } = await send(path, request);
  exchange.answer.body = await response.json().catch(() => undefined);
  if (!response.ok) {
    throw new Refused(exchange);
  }
  return { answer: exchange.answer.body, exchange };
}

const answered = async (path, request) => (await exchanged(path, request)).answer;

export const setup = () => answered("/dev/setup.json");
export const counters = () => answered("/dev/counters.json");

/** What a client, or a user of it, proves itself with: the value of `Authorization`. */
export async function credential(client, user) {
  if (!client.ForUsers) {
    return `Basic ${btoa(`${client.Id}:${client.Secret}`)}`;
  }
  const { Jwt } = await answered(`/dev/jwt?user=${encodeURIComponent(user)}`);
  return `Bearer ${Jwt}`;
}

export const whoami = (authorization) => answered("/v1/whoami", { headers: { authorization } });
export const token = (authorization, asked) => post("/v1/token", authorization, asked);
export const explain = (authorization, question) => post("/v1/explain", authorization, question);

export function post(path, authorization, body) {
  const headers = { authorization, "content-type": "application/json" };
  return exchanged(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/** What the demo recorded about a request. Lines are written a few milliseconds after the answer. */
export async function record(requestId) {
  let found;
  for (const pause of [10, 40, 150, 300]) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    found = await answered(`/dev/requests/${encodeURIComponent(requestId)}`);
    if (found.Audit.length && found.Log.length) {
      break;
    }
  }
  return found;
}

/** What the backend inside `dev` took of an upload, if it took the report. */
export async function report(uploadId) {
  const { Reports } = await answered("/dev/uploads");
  return Reports.find(({ Report }) => Report.UploadId === uploadId);
}

/** What the demo recorded about a request that was answered, if it was. */
export async function recordOf(exchange) {
  const id = exchange?.answer?.headers["x-request-id"];
  return id ? record(id) : undefined;
}
