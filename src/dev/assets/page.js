// The page: a token is asked for, and then it is put to use.

import * as asking from "./asking.js";
import * as counters from "./counters.js";
import * as life from "./life.js";
import { Bucket } from "./oss.js";
import * as pictures from "./pictures.js";
import * as policy from "./policy.js";
import * as service from "./service.js";

const element = (id) => document.getElementById(id);
/** Keys of the demo that are somebody else's for most tokens. */
const FORBIDDEN = ["users/bob/lake.jpg", "users/alice/portrait.svg"];
/** Who had the last word, in words. */
const LAYERS = {
  SessionPolicy: "the token’s own policy",
  IdentityPolicy: "the role’s policies",
  BucketAcl: "the bucket’s ACL",
};
let endpoint;
let buckets;
/** The token that is in use: `{ bucket, explain }`. */
let use;

async function hasToken({ token, explain }) {
  const start = await explain(question("GetObject", "", buckets[0]));
  const bucket = policy.bucket(start.Policy, buckets);
  use = { bucket: new Bucket(endpoint, bucket, token), explain };
  life.show(token);
  facts(token);
  policy.show(start.Policy);
  const folder = policy.folder(start.Policy);
  element("folder").value = folder;
  element("bucket").textContent = bucket.Name;
  element("key").value = FORBIDDEN.find((key) => !folder || !key.startsWith(folder));
  element("upload-said").textContent = "";
  element("progress").value = 0;
  ["token", "policy", "pictures", "trying"].forEach((id) => (element(id).hidden = false));
  element("verdict").hidden = true;
  await counters.refresh();
  await look();
}

function facts(token) {
  const all = {
    "Access key": token.AccessKeyId,
    "Session": token.AssumedRoleUser.Arn,
    "Good until": token.Expiration,
  };
  element("facts").replaceChildren(...Object.entries(all).flatMap(([name, value]) => term(name, value)));
}

async function look() {
  const folder = element("folder").value;
  const answer = await pictures.list(use.bucket, folder);
  if (!answer.ok) {
    await judge("ListObjects", folder, answer);
  }
}

async function upload() {
  const [file] = element("file").files;
  const { key, answer } = await pictures.upload(use.bucket, element("folder").value, file);
  await judge("PutObject", key, answer);
  if (answer.ok) {
    // A token may well write and not list; the verdict shown stays the upload's.
    await pictures.list(use.bucket, element("folder").value);
  }
}

const OPERATIONS = {
  GetObject: (key) => use.bucket.read(key),
  PutObject: (key) => use.bucket.write(key, new Blob(["tried by the page\n"], { type: "text/plain" })),
  DeleteObject: (key) => use.bucket.remove(key),
  ListObjects: (key) => use.bucket.list(key),
};

async function attempt() {
  const [operation, key] = [element("operation").value, element("key").value];
  await judge(operation, key, await OPERATIONS[operation](key));
}

/** Shows what OSS answered, asks the service why, and lights the statement up. */
async function judge(operation, key, answer) {
  const { bucket, explain } = use;
  const explanation = await explain(question(operation, key, { Name: bucket.name }));
  const places = policy.light(explanation);
  const said = element("verdict-said");
  const [head, why, list] = ["p", "p", "dl"].map((name) => document.createElement(name));
  head.className = answer.ok ? "mark good" : "mark bad";
  head.textContent = answer.ok ? `${answer.status}: done.` : `${answer.status} ${answer.code}: ${answer.message}`;
  const links = places.flatMap((place) => {
    const link = document.createElement("a");
    link.href = `#statement-${place}`;
    link.textContent = `Statement[${place}]`;
    return [", ", link];
  }).slice(1);
  why.append(...reason(explanation, answer, links));
  list.append(
    ...term("Asked", `${explanation.Action} on ${explanation.Resource}`),
    ...(answer.decision?.Verdict === "Denied" ? term("Last word", LAYERS[answer.decision.By]) : []),
    ...term("OSS’s request id", answer.requestId),
  );
  said.replaceChildren(head, why, list);
  if (answer.blob?.type.startsWith("image/")) {
    said.append(pictures.picture(answer.blob, `What lies at ${key}`));
  }
  element("verdict").className = answer.ok ? "let" : "refused";
  element("verdict").hidden = false;
}

function reason({ Verdict }, { ok }, links) {
  switch (Verdict) {
    case "Allowed":
      return ["Allowed by ", ...links, ok ? " of the token’s policy." : " of the token’s policy; it failed for another reason."];
    case "ExplicitlyDenied":
      return ["Denied by ", ...links, ", whatever others allow."];
    default:
      return links.length ? ["No statement allows it. Closest: ", ...links, "."] : ["No statement allows it, nor is any about it."];
  }
}

function question(operation, key, { Name }) {
  const listing = operation === "ListObjects";
  return {
    Action: `oss:${operation}`,
    Resource: `acs:oss:*:*:${Name}${listing ? "" : `/${key}`}`,
    ...(listing && { Conditions: { "oss:Prefix": key } }),
  };
}

function term(name, value) {
  const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
  dt.textContent = name;
  dd.textContent = value;
  dd.className = "mono";
  return [dt, dd];
}

/** A form's work: its button waits with it, and what goes wrong is said. */
function on(form, said, work) {
  element(form).addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = element(form).querySelector("button");
    button.disabled = true;
    try {
      await work();
    } catch (error) {
      pictures.say(said, error.message, "bad");
    } finally {
      button.disabled = false;
    }
  });
}

on("look", "look-said", look);
on("upload", "upload-said", upload);
on("try", "try-said", attempt);
const setup = await service.setup();
endpoint = setup.OssEndpoint;
buckets = setup.Buckets;
counters.start();
await asking.start(setup, hasToken);
