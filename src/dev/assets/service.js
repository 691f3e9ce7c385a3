// AppServer's routes, asked as any client asks them; and the few below /dev that tell what no client knows.

/** The service said no. */
export class Refused extends Error {
  constructor(status, answer) {
    super(answer.Message ?? `HTTP ${status}`);
    this.status = status;
    this.code = answer.Code ?? "?";
    this.requestId = answer.RequestId;
  }
}

async function read(response) {
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Refused(response.status, answer);
  }
  return answer;
}

// Without what the browser itself would add: at a 401 it would ask for a password in a window of its own.
const ask = async (path, request = {}) => read(await fetch(path, { credentials: "omit", ...request }));

export const setup = () => ask("/dev/setup.json");
export const counters = () => ask("/dev/counters.json");

/** What a client, or a user of it, proves itself with: the value of `Authorization`. */
export async function credential(client, user) {
  if (!client.ForUsers) {
    return `Basic ${btoa(`${client.Id}:${client.Secret}`)}`;
  }
  const { Jwt } = await ask(`/dev/jwt?user=${encodeURIComponent(user)}`);
  return `Bearer ${Jwt}`;
}

export const whoami = (authorization) => ask("/v1/whoami", { headers: { authorization } });
export const token = (authorization, asked) => post("/v1/token", authorization, asked);
export const explain = (authorization, question) => post("/v1/explain", authorization, question);

function post(path, authorization, body) {
  const headers = { authorization, "content-type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}
