// The third hop of the picture: one request to OSS, its answer, and why the policy allows or denies it.

import { adviceOn } from "./advice.js";
import * as flow from "./flow.js";
import { judge, question } from "./verdict.js";

/**
 * Sends a request with `work`, which answers as `Bucket` does. `use` is the token in use; without it nothing explains the
 * answer, as for a form or a URL: it is not this token that signed them. Errors are shown and thrown.
 */
export async function perform(use, operation, key, work) {
  const title = { key: "step.use", values: { operation: `${operation} ${key}` } };
  flow.running("use");
  let answer;
  try {
    answer = await work();
  } catch (error) {
    flow.ended("use", "bad", { key: "hop.unreachable" }, { title, about: adviceOn(error), exchange: error.exchange });
    throw error;
  }
  const explanation = use && (await use.explain(question(`oss:${operation}`, key, use.bucket.name)));
  const verdict = (element) => judge(element, explanation, answer, key);
  const about = { key: use ? "step.use-about" : "step.use-signed" };
  const state = answer.ok ? (answer.status === 203 ? "cached" : "good") : "bad";
  flow.ended("use", state, flow.took(answer.exchange), { title, about, exchange: answer.exchange, verdict });
  return answer;
}
