// The code of an app without an SDK: it uploads with a form or a URL that AppServer signs.

/** The pieces of a client's request, which each language writes in its own way. */
const body = (asked) => JSON.stringify(asked, null, 2);

const login = ({ origin, user }) => `jwt=$(curl -s '${origin}/dev/jwt?user=${user}' | jq -r .Jwt)`;

export const form = (facts) => ({
  curl: `${login(facts)}
form=$(curl -s -H "Authorization: Bearer $jwt" -H 'Content-Type: application/json' \\
  -d '${JSON.stringify(facts.form)}' '${facts.origin}/v1/uploads')
# Each field as it is, and the file last.
options='"url=" + (.Url | @json), (.Fields | to_entries[] | "form-string=" + (.key + "=" + .value | @json))'
printf '%s\\n' "$form" | jq -r "$options" | curl -i -K - -F 'file=@${facts.form.Name}'
`,
  js: `const { Jwt } = await (await fetch("${facts.origin}/dev/jwt?user=${facts.user}")).json();
const answer = await fetch("${facts.origin}/v1/uploads", {
  method: "POST", headers: { Authorization: \`Bearer \${Jwt}\`, "Content-Type": "application/json" },
  body: JSON.stringify({ ...${JSON.stringify(facts.form)}, Bytes: file.size }),   // file: a File, as of an <input type="file">
});
const form = await answer.json();
if (!answer.ok) throw new Error(\`\${form.Code}: \${form.Message}\`);
const fields = new FormData();
for (const [name, value] of Object.entries(form.Fields)) fields.append(name, value);
fields.append(form.FileField, file);                                   // last: OSS ignores what comes after it
const stored = await fetch(form.Url, { method: form.Method, body: fields });
if (!stored.ok) throw new Error(await stored.text());                  // 203 is ok, too: stored, but the backend did not confirm it
`,
  mini: `// A WeChat mini program; jwt is the login of your user. Add the hosts to the request and uploadFile domains of the program.
wx.request({
  url: "${facts.origin}/v1/uploads", method: "POST", header: { Authorization: "Bearer " + jwt },
  data: ${body(facts.form).replaceAll("\n", "\n  ")},
  success: ({ statusCode, data: form }) => {
    if (statusCode !== 200) return wx.showToast({ title: form.Message, icon: "none" });
    wx.uploadFile({
      url: form.Url, filePath, name: form.FileField, formData: form.Fields,
      // 203: stored, but the backend did not confirm it. Do not send it again.
      success: ({ statusCode, data }) => console.log([200, 203].includes(statusCode) ? form.Key : "OSS refused the form", data),
    });
  },
});
`,
  python: `import requests

jwt = requests.get("${facts.origin}/dev/jwt?user=${facts.user}").json()["Jwt"]
form = requests.post("${facts.origin}/v1/uploads", headers={"Authorization": f"Bearer {jwt}"}, json=${JSON.stringify(facts.form)})
form.raise_for_status()
form = form.json()
with open("${facts.form.Name}", "rb") as file:
    requests.post(form["Url"], data=form["Fields"], files={form["FileField"]: file}).raise_for_status()
`,
});

export const url = (facts) => ({
  curl: `${login(facts)}
signed=$(curl -s -H "Authorization: Bearer $jwt" -H 'Content-Type: application/json' \\
  -d '${JSON.stringify(facts.put)}' '${facts.origin}/v1/urls')
curl -i -T ${facts.form.Name} -H 'Content-Type: ${facts.put.ContentType}' "$(printf '%s\\n' "$signed" | jq -r .Url)"
`,
  js: `const { Jwt } = await (await fetch("${facts.origin}/dev/jwt?user=${facts.user}")).json();
const answer = await fetch("${facts.origin}/v1/urls", {
  method: "POST", headers: { Authorization: \`Bearer \${Jwt}\`, "Content-Type": "application/json" },
  body: JSON.stringify(${JSON.stringify(facts.put)}),
});
const signed = await answer.json();
if (!answer.ok) throw new Error(\`\${signed.Code}: \${signed.Message}\`);
const stored = await fetch(signed.Url, { method: signed.Method, headers: signed.Headers, body: file });
if (!stored.ok) throw new Error(await stored.text());
`,
  python: `import requests

jwt = requests.get("${facts.origin}/dev/jwt?user=${facts.user}").json()["Jwt"]
signed = requests.post("${facts.origin}/v1/urls", headers={"Authorization": f"Bearer {jwt}"}, json=${JSON.stringify(facts.put)})
signed.raise_for_status()
signed = signed.json()
with open("${facts.form.Name}", "rb") as file:
    requests.put(signed["Url"], headers=signed["Headers"], data=file).raise_for_status()
`,
});
