// Three ways of an upload: with the token as SDKs do, with a form, and with a URL that AppServer signs.

import * as flow from "./flow.js";
import { upload } from "./exchange.js";
import { answered } from "./oss.js";
import * as reporting from "./reporting.js";
import * as service from "./service.js";
import { perform } from "./usage.js";
import * as vending from "./vending.js";

/** Each uploads a file and answers as `Bucket` does, with the object's `key`. `use` is the token in use. */
export const WAYS = { token: byToken, form: byForm, url: byUrl };

async function byToken({ use, file, folder, progress }) {
  const key = folder + file.name;
  return { ...(await perform(use, "PutObject", key, () => use.bucket.write(key, file, progress))), key };
}

async function byForm({ use, file, progress, changed }) {
  const asked = { Grant: use.client.UploadGrant, Name: file.name, ContentType: file.type, Bytes: file.size };
  const form = await signed(use, "/v1/uploads", asked);
  const fields = new FormData();
  // As somebody would who has the form and wants another object.
  const named = changed ? { ...form.Fields, key: `${form.Key.slice(0, -4)}-2.png` } : form.Fields;
  Object.entries(named).forEach(([name, value]) => fields.append(name, value));
  // Last: OSS ignores what comes after it.
  fields.append(form.FileField, file);
  const request = { method: form.Method, body: fields, shown: { ...named, [form.FileField]: file.name } };
  const send = async () => answered(await upload(form.Url, request, progress));
  const answer = await perform(signing(use, asked.Grant), "PostObject", form.Key, send);
  if (answer.ok) {
    await reporting.show(form);
  }
  return { ...answer, key: form.Key };
}

async function byUrl({ use, file, folder, progress }) {
  const key = folder + file.name;
  const asked = { Grant: use.client.PutUrlGrant, Method: "PUT", Key: key, ContentType: file.type };
  const { Url, Method, Headers } = await signed(use, "/v1/urls", asked);
  const request = { method: Method, headers: Headers, body: file, shown: file };
  const send = async () => answered(await upload(Url, request, progress));
  const answer = await perform(signing(use, asked.Grant), "PutObject", key, send);
  return { ...answer, key };
}

/** The policy that counts for what a grant signs is the caller's own of that grant, and not the token's. */
const signing = (use, grant) => ({ explain: use.explainGrant(grant), bucket: use.bucket, about: "step.use-signed" });

/** Lets AppServer sign, and shows it as the first two hops. */
async function signed(use, path, asked) {
  flow.reset();
  flow.running("ask", path.endsWith("/uploads") ? "hop.ask-form" : "hop.ask-url");
  flow.running("assume");
  try {
    const { answer, exchange } = await service.post(path, await use.proof(), asked);
    vending.showSigned(exchange, await service.record(answer.RequestId), path);
    return answer;
  } catch (error) {
    flow.choose("ask");
    await vending.refused(error, use.client, vending.signedTitle(path));
    throw error;
  }
}
