// The first two hops of the picture: the app's request for a token, and the call to STS that it caused or did not cause.

import { adviceOn } from "./advice.js";
import * as flow from "./flow.js";
import { recordOf } from "./service.js";

let stsEndpoint = "";

export function start({ StsEndpoint }) {
  stsEndpoint = `${StsEndpoint}/`;
}

const about = ({ ForUsers }) => ({ key: ForUsers ? "step.ask-about" : "step.ask-about-secret" });

/** Shows a vended token. Answers where it came from, as the audit has it. */
export function show(exchange, record, client) {
  flow.ended("ask", "good", flow.took(exchange), { title: { key: "step.ask" }, about: about(client), exchange, record });
  return showCall(record, { key: "step.assume-about" });
}

/** The title of a request for a form or a URL. */
export const signedTitle = (path) => ({ key: path.endsWith("/uploads") ? "step.form" : "step.url" });

/** Shows a form or a URL that AppServer signed. */
export function showSigned(exchange, record, path) {
  const detail = { title: signedTitle(path), about: { key: "step.signed-about" }, exchange, record };
  flow.ended("ask", "good", flow.took(exchange), detail);
  showCall(record, { key: "step.assume-grant" });
}

/** Shows the call that issued the credentials, or that none was necessary. */
function showCall(record, issued) {
  const source = record.Audit[0]?.Source ?? "unknown";
  const call = record.StsCall;
  const values = { ms: record.StsTookMs ?? "?" };
  const detail = { title: { key: "step.assume" }, exchange: call && asExchange(call, record.Audit[0]) };
  if (source === "Issued" && call) {
    const said = { key: "hop.ms", values: { status: 200, ...values } };
    flow.ended("assume", "good", said, { ...detail, about: { ...issued, values } });
  } else if (call) {
    flow.ended("assume", "cached", { key: "hop.cached" }, { ...detail, about: { key: "step.assume-cached", values } });
  } else {
    flow.ended("assume", "cached", { key: `source.${source}` }, { ...detail, about: { key: "step.assume-elsewhere" } });
  }
  return source;
}

/** Shows that there is no token, form or URL. */
export async function refused(error, client, title = { key: "step.ask" }) {
  const { exchange } = error;
  const answered = exchange?.answer;
  const said = answered ? flow.took(exchange) : { key: "hop.unreachable" };
  const why = answered ? about(client) : adviceOn(error);
  const record = await recordOf(exchange);
  flow.ended("ask", "bad", said, { title, about: why, exchange, record });
  const failed = !answered || answered.status >= 500;
  const noCall = { key: failed ? "step.assume-failed" : "step.assume-refused" };
  flow.ended("assume", "idle", { key: "hop.idle" }, { title: { key: "step.assume" }, about: noCall });
}

/** The emulator's record of a call as an exchange. It keeps the outcome and not the whole answer. */
function asExchange({ Method, Action, Parameters, Outcome, RequestId }, audit) {
  const { RoleArn, RoleSessionName, DurationSeconds, Policy, ...others } = Parameters;
  const written = JSON.stringify(JSON.parse(Policy ?? "null"), null, 2);
  // What matters comes first.
  const parameters = { Action, RoleArn, RoleSessionName, DurationSeconds, Policy: written, ...others };
  const body = Object.entries(parameters).map(([name, value]) => `${name}=${value}`).join("\n");
  const { StsAccessKeyId: AccessKeyId, Expiration } = audit;
  return {
    request: { method: Method, url: stsEndpoint, headers: {}, body },
    answer: { status: Outcome, headers: {}, body: { RequestId, Credentials: { AccessKeyId, Expiration } } },
  };
}
