// The fourth hop of the picture: OSS reports an upload by a form to AppServer, which forwards the report to the app's backend.

import * as flow from "./flow.js";
import * as service from "./service.js";

/** Until the next upload that is reported. */
export const hide = () => flow.reveal("report", false);

/** Shows what the backend took of an upload. `form` is the signed form; without a callback in it nothing is reported. */
export async function show({ UploadId, Fields }) {
  if (!Fields.callback) {
    return;
  }
  flow.reveal("report", true);
  flow.running("report");
  const title = { key: "step.report" };
  const taken = await service.report(UploadId);
  if (!taken) {
    flow.ended("report", "bad", { key: "hop.unreported" }, { title, about: { key: "step.unreported" } });
    return;
  }
  const { Signature, Report, Answer, Audit } = taken;
  const exchange = {
    request: { method: "POST", url: "/uploads", headers: { "x-appserver-signature": Signature }, body: Report },
    answer: { status: 200, headers: {}, body: Answer },
  };
  const reported = Audit.find(({ Event }) => Event === "Uploaded");
  const record = reported && (await service.record(reported.RequestId));
  flow.ended("report", "good", { key: "hop.reported" }, { title, about: { key: "step.report-about" }, exchange, record });
}
