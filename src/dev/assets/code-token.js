// The code of an app that uploads with a token and an SDK.

export const token = (facts) => ({
  curl: curl(facts),
  js: js(facts),
  python: python(facts),
  android: android(facts),
  ios: ios(facts),
});

const curl = ({ origin, url, user, basic }) =>
  user
    ? `# The login of ${user}; in your app this is the token of your identity provider.
jwt=$(curl -s '${origin}/dev/jwt?user=${user}' | jq -r .Jwt)
curl -H "Authorization: Bearer $jwt" '${url}'
`
    : `curl -u '${basic}' '${url}'
`;

const js = ({ origin, url, oss, bucket, region, folder, key, user, basic }) => `import OSS from "ali-oss";

const token = async () => {
${user ? `  const { Jwt } = await (await fetch("${origin}/dev/jwt?user=${user}")).json();
  const headers = { Authorization: \`Bearer \${Jwt}\` };` : `  const headers = { Authorization: \`Basic \${btoa("${basic}")}\` };`}
  const answer = await fetch("${url}", { headers });
  const body = await answer.json();
  if (!answer.ok) throw new Error(\`\${body.Code}: \${body.Message}\`);
  return { accessKeyId: body.AccessKeyId, accessKeySecret: body.AccessKeySecret, stsToken: body.SecurityToken };
};
const client = new OSS({
  region: "oss-${region}", endpoint: "${oss}", bucket: "${bucket}", authorizationV4: true,
  ...(await token()), refreshSTSToken: token,
});
await client.put("${key}", Buffer.from("hello"));
console.log((await client.list({ prefix: "${folder}" })).objects.map(({ name }) => name));
`;

const python = ({ origin, url, oss, bucket, region, key, user, basic }) => `import oss2
import requests

${user ? `jwt = requests.get("${origin}/dev/jwt?user=${user}").json()["Jwt"]
answer = requests.get("${url}", headers={"Authorization": f"Bearer {jwt}"})` : `answer = requests.get("${url}", auth=(${basic.split(":").map((part) => `"${part}"`).join(", ")}))`}
answer.raise_for_status()
token = answer.json()
auth = oss2.StsAuth(token["AccessKeyId"], token["AccessKeySecret"], token["SecurityToken"], auth_version="v4")
bucket = oss2.Bucket(auth, "${oss}", "${bucket}", region="${region}")
bucket.put_object("${key}", "hello")
print(bucket.get_object("${key}").read().decode())
`;

/** What makes these addresses valid in the Android emulator and on a connected device. */
const reverse = (...urls) => urls.map((url) => new URL(url).port).map((port) => `adb reverse tcp:${port} tcp:${port}`).join(" && ");

const android = ({ origin, url, oss, bucket, region, key, user }) => `// ${user ? "jwt: the login of your user" : "A secret has no place in an app: use a grant of a client whose users log in."}
// On this machine: ${reverse(origin, oss)}
OSSCredentialProvider provider = new OSSFederationCredentialProvider() {
    @Override
    public OSSFederationToken getFederationToken() throws ClientException {
        Request request = new Request.Builder().url("${url}")
            .header("Authorization", "Bearer " + jwt).build();
        try (Response answer = http.newCall(request).execute()) {      // an OkHttpClient
            JSONObject token = new JSONObject(answer.body().string());
            if (!answer.isSuccessful()) throw new ClientException(token.getString("ErrorMessage"));
            return new OSSFederationToken(token.getString("AccessKeyId"), token.getString("AccessKeySecret"),
                token.getString("SecurityToken"), token.getString("Expiration"));
        } catch (IOException | JSONException error) {
            throw new ClientException(error);
        }
    }
};
ClientConfiguration configuration = new ClientConfiguration();
configuration.setSignVersion(SignVersion.V4);                          // the default is V1, which OSS refuses for new accounts
OSS oss = new OSSClient.Builder().context(context).endpoint("${oss}").credentialsProvider(provider)
    .clientConfiguration(configuration).region("${region}").build();
oss.putObject(new PutObjectRequest("${bucket}", "${key}", "hello".getBytes()));
`;

const ios = ({ url, oss, bucket, region, key, user }) => `// ${user ? "jwt: the login of your user" : "A secret has no place in an app: use a grant of a client whose users log in."}
let provider = OSSFederationCredentialProvider {
    var request = URLRequest(url: URL(string: "${url}")!)
    request.setValue("Bearer \\(jwt)", forHTTPHeaderField: "Authorization")
    guard let fields = get(request), fields["StatusCode"] as? Int == 200 else { return nil }   // blocking; returns the JSON object
    let token = OSSFederationToken()
    token.tAccessKey = fields["AccessKeyId"] as! String
    token.tSecretKey = fields["AccessKeySecret"] as! String
    token.tToken = fields["SecurityToken"] as! String
    token.expirationTimeInGMTFormat = fields["Expiration"] as? String
    return token
}
let configuration = OSSClientConfiguration()
configuration.signVersion = OSSSignVersion.V4                          // the default is V1, which OSS refuses for new accounts
let client = OSSClient(endpoint: "${oss}", credentialProvider: provider, clientConfiguration: configuration)
client.region = "${region}"
let put = OSSPutObjectRequest()
put.bucketName = "${bucket}"
put.objectKey = "${key}"
put.uploadingData = Data("hello".utf8)
client.putObject(put).waitUntilFinished()
`;
