// A certified OpenID provider on this machine, whose keys tests can change and which they can stop.

import { createServer } from "node:http";

import { exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

export const REDIRECT = "http://127.0.0.1:1/signed-in";
const SECRET = "a secret that only this test has";

/** A pair of keys under names, one for each algorithm. */
export async function keysNamed(name) {
  const key = async (alg) => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    return { ...(await exportJWK(privateKey)), kid: `${name}-${alg}`, alg, use: "sig" };
  };
  return [await key("ES256"), await key("RS256")];
}

/** Seconds that access tokens for a resource live. */
const LIVES = { "urn:photos": 2000, "urn:photos:short": 600 };

const configuration = (keys) => ({
  jwks: { keys },
  cookies: { keys: [SECRET] },
  scopes: ["openid"],
  clients: [
    {
      client_id: "batch-7",
      client_secret: SECRET,
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    },
    {
      client_id: "photo-web",
      client_secret: SECRET,
      grant_types: ["authorization_code"],
      redirect_uris: [REDIRECT],
      response_types: ["code"],
      id_token_signed_response_alg: "RS256",
      application_type: "native",
    },
  ],
  pkce: { required: () => false },
  ttl: { IdToken: 3600 },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: "photos",
        audience: resource,
        accessTokenTTL: LIVES[resource],
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});

export class Issuer {
  constructor(url) {
    this.url = url;
    this.server = createServer((request, response) => {
      this.asked.push(request.url);
      this.handle(request, response);
    });
    /** Paths that were asked for. */
    this.asked = [];
  }

  /** From now on signs with these keys and has no others. */
  use(keys) {
    this.handle = new Provider(this.url, configuration(keys)).callback();
  }

  listen() {
    return new Promise((done) => this.server.listen(new URL(this.url).port, "127.0.0.1", done));
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((done) => this.server.close(done));
  }

  async token(client, form) {
    const response = await fetch(`${this.url}/token`, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${client}:${encodeURIComponent(SECRET)}`)}` },
      body: new URLSearchParams(form),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(JSON.stringify(answer));
    return answer;
  }

  /** An access token of a program: its subject is the program itself. */
  async accessToken(resource = "urn:photos") {
    const form = { grant_type: "client_credentials", resource, scope: "photos" };
    return (await this.token("batch-7", form)).access_token;
  }

  /** Signs a user in as a browser would, and answers the ID token. */
  async idToken(user) {
    const jar = new Map();
    const visit = async (url, form) => {
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
      const body = form && new URLSearchParams(form);
      const request = { method: form ? "POST" : "GET", headers: { cookie }, body, redirect: "manual" };
      const response = await fetch(new URL(url, this.url), request);
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
        if (value) jar.set(name, value);
        else jar.delete(name);
      }
      return response.headers.get("location");
    };
    const asked = { client_id: "photo-web", response_type: "code", scope: "openid", redirect_uri: REDIRECT };
    let at = await visit(`/auth?${new URLSearchParams(asked)}`);
    for (const form of [{ prompt: "login", login: user, password: "any" }, { prompt: "consent" }]) {
      // The page with the form, its submission, and the redirects after it.
      at = await visit(at, form);
      at = await visit(at);
    }
    const code = new URL(at).searchParams.get("code");
    return (await this.token("photo-web", { grant_type: "authorization_code", code, redirect_uri: REDIRECT })).id_token;
  }
}
