// The first two hops of the picture: the app's request for a token, and the call to STS that it caused or did not cause.

import { adviceOn } from "./advice.js";
import * as flow from "./flow.js";

const about = ({ ForUsers }) => ({ key: ForUsers ? "step.ask-about" : "step.ask-about-secret" });

/** Shows a vended token. Answers where it came from, as the audit has it. */
export function show(exchange, record, client) {
  const title = { key: "step.ask" };
  flow.ended("ask", "good", flow.took(exchange), { title, about: about(client), exchange, record });
  const source = record.Audit[0]?.Source ?? "unknown";
  const call = record.StsCall;
  const detail = { title: { key: "step.assume" }, exchange: call && asExchange(call, record.Audit[0]) };
  if (source === "Issued" && call) {
    const ms = record.StsTookMs ?? "?";
    detail.about = { key: "step.assume-about", values: { ms } };
    flow.ended("assume", "good", { key: "hop.ms", values: { status: 200, ms } }, detail);
  } else if (call) {
    detail.about = { key: "step.assume-cached", values: { ms: record.StsTookMs ?? "?" } };
    flow.ended("assume", "cached", { key: "hop.cached" }, detail);
  } else {
    detail.about = { key: "step.assume-elsewhere" };
    flow.ended("assume", "cached", { key: `source.${source}` }, detail);
  }
  return source;
}

/** Shows that there is no token. */
export function refused(error, record, client) {
  const { exchange } = error;
  const answered = exchange?.answer;
  const said = answered ? flow.took(exchange) : { key: "hop.unreachable" };
  const why = answered ? about(client) : adviceOn(error);
  flow.ended("ask", "bad", said, { title: { key: "step.ask" }, about: why, exchange, record });
  const failed = !answered || answered.status >= 500;
  const noCall = { key: failed ? "step.assume-failed" : "step.assume-refused" };
  flow.ended("assume", "idle", { key: "hop.idle" }, { title: { key: "step.assume" }, about: noCall });
}

/** The emulator's record of a call as an exchange. It keeps the outcome and not the whole answer. */
function asExchange({ Method, Action, Parameters, Outcome, RequestId }, audit) {
  const { Policy, ...others } = Parameters;
  const parameters = Object.entries(others).map(([name, value]) => `${name}=${value}\n`).join("");
  const body = `Action=${Action}\n${parameters}Policy=${JSON.stringify(JSON.parse(Policy ?? "null"), null, 2)}`;
  const { StsAccessKeyId: AccessKeyId, Expiration } = audit;
  return {
    request: { method: Method, url: "/", headers: {}, body },
    answer: { status: Outcome, headers: {}, body: { RequestId, Credentials: { AccessKeyId, Expiration } } },
  };
}
