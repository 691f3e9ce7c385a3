// What to do about an error, as a text's key and values.

import { Unsendable } from "./oss.js";
import { Refused } from "./service.js";
import { Unreachable } from "./exchange.js";

const EXPIRED = ["SecurityTokenExpired", "InvalidSecurityToken", "InvalidAccessKeyId", "AccessKeyIdAndSecurityTokenNotMatch"];
const BY_CODE = ["AccessDenied", "RequestTimeTooSkewed", "NoSuchKey", "FileAlreadyExists", "EntityTooLarge", "EmulatorIsFull"];
const BY_STATUS = [400, 401, 403, 429, 502, 503];

/** What to do about an answer of OSS that is no success. */
export function adviceOnOss({ code, message }) {
  if (/according to Policy/.test(message)) {
    return { key: "advice.form" };
  }
  if (EXPIRED.includes(code)) {
    return { key: "advice.expired" };
  }
  return BY_CODE.includes(code) ? { key: `advice.${code}` } : undefined;
}

/** The text about an error that was thrown. */
export function adviceOn(error) {
  if (error instanceof Unreachable) {
    return { key: "error.unreachable", values: { origin: new URL(error.exchange.request.url).origin } };
  }
  if (error instanceof Unsendable) {
    return { key: error.key };
  }
  if (error instanceof Refused) {
    const { status, code, message, retryAfter } = error;
    const seconds = retryAfter ?? 1;
    const signsOnly = code === "Forbidden.Grant" && /vends no token/.test(message);
    const key = signsOnly ? "advice.signs-only" : `advice.${status}`;
    const advice = BY_STATUS.includes(status) ? { key, values: { seconds } } : undefined;
    return { key: "error.service", values: { status, code, message, advice } };
  }
  console.error(error);
  return { key: "error.other", values: { message: error.message } };
}
