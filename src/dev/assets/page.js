// The page: a token is asked for, and then it is put to use.

import { adviceOn, adviceOnOss } from "./advice.js";
import * as asking from "./asking.js";
import * as code from "./code.js";
import * as counters from "./counters.js";
import * as flow from "./flow.js";
import * as life from "./life.js";
import { Bucket } from "./oss.js";
import { painted } from "./landscape.js";
import * as pictures from "./pictures.js";
import * as policy from "./policy.js";
import * as reporting from "./reporting.js";
import * as service from "./service.js";
import * as step from "./step.js";
import { clear, start as startTexts, write } from "./text.js";
import { WAYS } from "./uploads.js";
import { perform } from "./usage.js";
import * as vending from "./vending.js";
import { judge, question } from "./verdict.js";

const element = (id) => document.getElementById(id);
/** Keys of the demo that are another user's for most tokens. */
const FORBIDDEN = ["users/bob/lake.jpg", "users/alice/portrait.svg"];
const ACTIONS = ["GetObject", "PutObject", "DeleteObject", "ListObjects", "GetObjectMeta", "PutObjectAcl", "DeleteBucket"];
let setup;
/** The token that is in use: `{ bucket, explain, explainGrant, proof, client, grant, policy }`. */
let use;

async function hasToken(issued) {
  const { token, exchange, explain, explainGrant, proof, client, user } = issued;
  const record = await service.record(token.RequestId);
  const source = vending.show(exchange, record, client);
  const { Policy: rendered } = await explain(question("oss:GetObject", "", setup.Buckets[0].Name));
  const bucket = policy.bucket(rendered, setup.Buckets);
  const folder = policy.folder(rendered);
  use = { bucket: new Bucket(setup.OssEndpoint, bucket, token), explain, explainGrant, proof, client, grant: token.Grant, policy: rendered };
  life.show(token);
  facts(token);
  policy.show(token.Grant, rendered);
  const forbidden = FORBIDDEN.find((key) => !folder || !key.startsWith(folder));
  element("folder").value = folder;
  element("key").value = forbidden;
  write(element("forbidden"), "phone.forbidden", { key: forbidden }).dataset.key = forbidden;
  const holder = client.ForUsers ? user : "backend";
  write(element("holder"), "phone.holder", { client: client.Id, user: holder });
  clear(element("upload-said"));
  element("progress").value = 0;
  showWays(client);
  code.show({ ...issued, setup, bucket, folder }, chosenWay());
  ["policy", "afterwards", "code"].forEach((id) => (element(id).hidden = false));
  await counters.refresh();
  await list();
  if (chosenWay() !== "token") {
    await showPolicy();
  }
  return source;
}

/** A client without a grant for forms or URLs has the token alone. */
function showWays({ UploadGrant, PutUrlGrant }) {
  element("ways").hidden = !(UploadGrant || PutUrlGrant);
  element("way-form").disabled = !UploadGrant;
  element("way-url").disabled = !PutUrlGrant;
  if (element("upload").querySelector("[name=way]:checked").disabled) {
    element("way-token").checked = true;
  }
  showWay();
}

/** The policy that counts for the chosen way: the token's, or that of the grant that signs. */
async function showPolicy() {
  const { grant, policy: rendered, explainGrant, bucket } = use;
  const signing = signingGrant(chosenWay());
  if (signing && signing !== grant) {
    const explained = await explainGrant(signing)(question("oss:PutObject", "", bucket.name));
    policy.show(explained.Grant, explained.Policy);
  } else {
    policy.show(grant, rendered);
  }
}

/** The grant that signs, where no token is used. */
const signingGrant = (way) => ({ form: use.client.UploadGrant, url: use.client.PutUrlGrant })[way];

const chosenWay = () => element("upload").querySelector("[name=way]:checked").value;

function showWay() {
  const way = chosenWay();
  write(element("way-cost"), `ways.cost-${way}`);
  element("change-field").hidden = way !== "form";
  // A form and a URL need none in the app.
  element("token").hidden = !use || way !== "token";
  const signing = use && signingGrant(way);
  element("ask-way").hidden = !signing;
  if (signing) {
    write(element("ask-way"), `ask.way-${way}`, { grant: signing });
  }
  code.change(way);
}

function facts({ AccessKeyId, AssumedRoleUser, Grant }) {
  const facts = { "token.id": AccessKeyId, "token.session": AssumedRoleUser.Arn, "token.grant": Grant };
  element("facts").replaceChildren(...Object.entries(facts).flatMap(([name, value]) => {
    const dd = Object.assign(document.createElement("dd"), { textContent: value, className: "mono" });
    return [write(document.createElement("dt"), name), dd];
  }));
}

/** Asks OSS with the token. */
const withToken = (operation, key, work) => perform(use, operation, key, work);

async function list() {
  const folder = element("folder").value;
  const listed = await withToken("ListObjects", folder, () => use.bucket.list(folder));
  await pictures.show(use.bucket, folder, listed, { open, remove });
}

async function open(key) {
  flow.choose("use");
  step.reveal();
  return withToken("GetObject", key, () => use.bucket.read(key));
}

async function remove(key) {
  flow.choose("use");
  const name = key.split("/").at(-1);
  const answer = await withToken("DeleteObject", key, () => use.bucket.remove(key));
  if (answer.ok) {
    document.querySelector(`#thumbnails li[data-key="${CSS.escape(key)}"]`)?.remove();
    pictures.say("look-said", "good", "phone.deleted", { name });
  } else {
    pictures.say("look-said", "bad", "phone.not-deleted", { name, advice: adviceOnOss(answer) });
  }
}

async function upload() {
  const file = element("file").files[0] ?? (await painted());
  const [folder, bar] = [element("folder").value, element("progress")];
  const before = await counters.refresh();
  flow.choose("use");
  reporting.hide();
  bar.value = 0;
  clear(element("upload-said"));
  const progress = (part) => (bar.value = Math.round(part * 100));
  let answer;
  try {
    answer = await WAYS[chosenWay()]({ use, file, folder, progress, changed: element("change").checked });
  } finally {
    // What was sent is not what was stored.
    bar.value = answer?.ok ? 100 : 0;
  }
  const after = await counters.refresh();
  const name = answer.key.split("/").at(-1);
  if (!answer.ok) {
    pictures.say("upload-said", "bad", "phone.not-uploaded", { name, advice: adviceOnOss(answer) });
    return;
  }
  const [kind, said] = answer.status === 203 ? ["near", "phone.unconfirmed"] : ["good", "phone.uploaded"];
  pictures.say("upload-said", kind, said, {
    name,
    bytes: file.size.toLocaleString("en"),
    ms: Math.round(answer.exchange.ms),
    calls: after.StsCalls - before.StsCalls,
  });
  // Not on the picture: the upload stays there.
  const listed = await use.bucket.list(folder);
  // A token may be good for writing only.
  if (listed.ok) {
    await pictures.show(use.bucket, folder, listed, { open, remove });
  }
}

const OPERATIONS = {
  GetObject: (key) => use.bucket.read(key),
  PutObject: (key) => use.bucket.write(key, new Blob(["tried by the page\n"], { type: "text/plain" })),
  DeleteObject: (key) => use.bucket.remove(key),
  ListObjects: (key) => use.bucket.list(key),
};

/** The form's action, with or without the product's name before it. */
const action = () => element("action").value.trim().replace(/^oss:/i, "");

async function explain() {
  const key = element("key").value;
  judge(element("explained"), await use.explain(question(`oss:${action()}`, key, use.bucket.name)));
}

async function attempt() {
  const [operation, key] = [action(), element("key").value];
  if (!(operation in OPERATIONS)) {
    sayExplained({ key: "what-if.no-attempt" });
    return;
  }
  flow.choose("use");
  element("explained").hidden = true;
  await withToken(operation, key, () => OPERATIONS[operation](key));
  element("step").scrollIntoView({ block: "nearest" });
}

function sayExplained({ key, values }) {
  element("explained").replaceChildren(write(document.createElement("p"), key, values));
  element("explained").className = "refused";
  element("explained").hidden = false;
}

/** A button's work: the button waits with it, and what goes wrong is said. */
function on(target, event, work, say) {
  const button = target.matches("form") ? target.querySelector("button") : target;
  target.addEventListener(event, async (happened) => {
    happened.preventDefault();
    button.disabled = true;
    try {
      await work();
    } catch (error) {
      say(adviceOn(error));
    } finally {
      button.disabled = false;
    }
  });
}

const sayAt = (id) => ({ key, values }) => pictures.say(id, "bad", key, values);

function listen() {
  on(element("look"), "submit", () => (flow.choose("use"), list()), sayAt("look-said"));
  on(element("upload"), "submit", upload, sayAt("upload-said"));
  on(element("forbidden"), "click", () => open(element("forbidden").dataset.key), sayAt("look-said"));
  on(element("try"), "submit", explain, sayExplained);
  on(element("attempt"), "click", attempt, sayExplained);
  element("phone").addEventListener("dragover", (event) => event.preventDefault());
  element("phone").addEventListener("drop", (event) => {
    event.preventDefault();
    element("file").files = event.dataTransfer.files;
    element("file").dispatchEvent(new Event("change"));
  });
  element("ways").addEventListener("change", ({ target }) => {
    showWay();
    if (target.name === "way") {
      showPolicy().catch((error) => sayAt("upload-said")(adviceOn(error)));
    }
  });
  showWay();
  element("file").addEventListener("change", ({ target: { files: [file] } }) => {
    file ? (clear(element("file-said")), (element("file-said").textContent = file.name)) : write(element("file-said"), "phone.file");
  });
}

startTexts(element("language"));
flow.start();
listen();
element("actions").append(...ACTIONS.map((name) => new Option("", `oss:${name}`)));
try {
  setup = await service.setup();
  vending.start(setup);
  counters.start();
  await asking.start(setup, {
    onAsk: () => {
      flow.reset();
      flow.choose("ask");
      policy.dim();
      element("explained").hidden = true;
      clear(element("upload-said"));
      clear(element("look-said"));
      flow.running("ask", "hop.ask-token");
      flow.running("assume");
    },
    onToken: (issued) => (flow.choose("ask"), hasToken(issued)),
    onRefused: vending.refused,
  });
} catch (error) {
  sayAt("ask-said")(adviceOn(error));
}
