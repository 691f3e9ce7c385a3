// Why a request is allowed or denied: the service's explanation, and what OSS answered if it was asked.

import { adviceOnOss } from "./advice.js";
import { picture } from "./pictures.js";
import * as policy from "./policy.js";
import { made } from "./text.js";

/** What `/v1/explain` is asked about an action on a key; of a listing the key is the prefix. */
export function question(action, key, bucket) {
  const listing = /^oss:ListObjects(V2)?$/i.test(action);
  return {
    Action: action,
    Resource: `acs:oss:*:*:${bucket}${listing ? "" : `/${key}`}`,
    ...(listing && { Conditions: { "oss:Prefix": key } }),
  };
}

/** Fills an element with the verdict and lights the policy's statements. `answer` is OSS's, if it was asked. */
export function judge(element, explanation, answer, key) {
  const places = policy.light(explanation);
  const links = document.createElement("span");
  links.append(...places.flatMap((place) => {
    const link = document.createElement("a");
    link.href = `#statement-${place}`;
    link.textContent = `Statement[${place}]`;
    return [", ", link];
  }).slice(1));
  const ok = answer ? answer.ok : explanation.Allowed;
  const why = made("span", reason(explanation, answer, ok, places), { places: links });
  const head = document.createElement("p");
  head.className = "head";
  head.append(answer ? onOss(answer, why) : made("span", ok ? "verdict.would" : "verdict.would-not", { reason: why }));
  const list = document.createElement("dl");
  list.append(
    ...term("verdict.asked", `${explanation.Action} → ${explanation.Resource}`),
    ...(answer?.decision?.Verdict === "Denied" ? term("verdict.layer", undefined, `layer.${answer.decision.By}`) : []),
    ...(answer ? term("verdict.request-id", answer.requestId) : []),
  );
  element.className = answer?.status === 203 ? "unconfirmed" : ok ? "let" : "refused";
  element.hidden = false;
  const advice = answer && !ok ? adviceOnOss(answer) : undefined;
  element.replaceChildren(head, ...(advice ? [made("p", advice.key)] : []), list);
  if (answer?.blob?.type.startsWith("image/")) {
    element.append(picture(answer.blob, "verdict.picture", { key }));
  }
}

function onOss(answer, why) {
  const { status, code, message } = answer;
  if (status === 203) {
    return made("span", "verdict.unconfirmed", { status, code, message });
  }
  return answer.ok
    ? made("span", "verdict.done", { status, reason: why })
    : made("span", "verdict.refused", { status, code, message, reason: why });
}

function reason({ Verdict }, answer, ok, places) {
  switch (Verdict) {
    case "Allowed":
      if (answer?.message?.startsWith("Invalid according to Policy")) {
        return "reason.form-policy";
      }
      return ok ? "reason.allowed" : "reason.allowed-failed";
    case "ExplicitlyDenied":
      return "reason.denied";
    default:
      return places.length ? "reason.closest" : "reason.none";
  }
}

function term(name, value, key) {
  const dd = key ? made("dd", key) : Object.assign(document.createElement("dd"), { textContent: value, className: "mono" });
  return [made("dt", name), dd];
}
