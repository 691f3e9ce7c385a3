// The third hop of the picture: one request to OSS, its answer, and why the policy allows or denies it.

import { adviceOn } from "./advice.js";
import * as flow from "./flow.js";
import { judge, question } from "./verdict.js";

/**
 * Sends a request with `work`, which answers as `Bucket` does. `explain` answers why the policy that counts allows or denies it:
 * the token's, or that of the grant whose session signed a form or a URL. Errors are shown and thrown.
 */
export async function perform({ explain, bucket, about = "step.use-about" }, operation, key, work) {
  const title = { key: "step.use", values: { operation: `${operation} ${key}` } };
  flow.running("use");
  let answer;
  try {
    answer = await work();
  } catch (error) {
    flow.ended("use", "bad", { key: "hop.unreachable" }, { title, about: adviceOn(error), exchange: error.exchange });
    throw error;
  }
  // A form is a PutObject to policies.
  const action = `oss:${operation === "PostObject" ? "PutObject" : operation}`;
  const explanation = await explain(question(action, key, bucket.name));
  const verdict = (element) => judge(element, explanation, answer, key);
  const state = answer.ok ? (answer.status === 203 ? "cached" : "good") : "bad";
  flow.ended("use", state, flow.took(answer.exchange), { title, about: { key: about }, exchange: answer.exchange, verdict });
  return answer;
}
