// OSS's signature version 4, made where the token is: in the browser.

const ALGORITHM = "OSS4-HMAC-SHA256";
const bytes = (text) => new TextEncoder().encode(text);
const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Percent-encodes all but letters, digits and `- . _ ~`; encodeURIComponent leaves five others as they are. */
export const encode = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** A path, encoded but for its slashes. */
export const encodePath = (path) => path.split("/").map(encode).join("/");

async function hmac(key, text) {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return crypto.subtle.sign("HMAC", imported, bytes(text));
}

/**
 * The headers of a request with its signature. `path` begins with the bucket's name and is not encoded; `query` is an
 * object of texts, `headers` has lower-case names.
 */
export async function signed({ method, path, query = {}, headers = {}, region, token, now = new Date() }) {
  const time = now.toISOString().replace(/[-:]|\.\d+/g, "");
  const date = time.slice(0, 8);
  const all = {
    ...headers,
    "x-oss-content-sha256": "UNSIGNED-PAYLOAD",
    "x-oss-date": time,
    "x-oss-security-token": token.SecurityToken,
  };
  const pairs = Object.entries(query).map(([name, value]) => [encode(name), encode(value)]);
  const canonical = [
    method,
    encodePath(path),
    byName(pairs).map(([name, value]) => (value ? `${name}=${value}` : name)).join("&"),
    byName(Object.entries(all)).map(([name, value]) => `${name}:${value.trim()}\n`).join(""),
    // No other headers are signed than those that always are.
    "",
    "UNSIGNED-PAYLOAD",
  ].join("\n");
  const scope = `${date}/${region}/oss/aliyun_v4_request`;
  const digest = hex(await crypto.subtle.digest("SHA-256", bytes(canonical)));
  let key = bytes(`aliyun_v4${token.AccessKeySecret}`);
  for (const part of [date, region, "oss", "aliyun_v4_request"]) {
    key = await hmac(key, part);
  }
  const signature = hex(await hmac(key, [ALGORITHM, time, scope, digest].join("\n")));
  const authorization = `${ALGORITHM} Credential=${token.AccessKeyId}/${scope},Signature=${signature}`;
  return { ...all, authorization };
}

// By code units, as OSS sorts; localeCompare would not.
const byName = (pairs) => pairs.toSorted(([one], [other]) => (one < other ? -1 : Number(one > other)));
