//! Known identity providers: tokens as their documentation shows them, verified with only `provider` and audiences set.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, jwk::Jwk};
use serde_json::{Value, json};

use super::*;
use crate::auth::{ConfiguredKeys, Issuers};
use crate::outbound::Egress;
use crate::telemetry::IssuerMetrics;
use appserver_domain::clock::Clock;

const NOW: i64 = 1_700_000_000;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).unwrap()
}

/// The key of an issuer that exists only in tests.
fn key() -> EncodingKey {
    EncodingKey::from_ec_der(&rcgen::KeyPair::generate().unwrap().serialize_der())
}

/// A configuration with the issuer, whose keys come from a file, and signs otherwise than the provider does.
struct World {
    key: EncodingKey,
    issuers: Issuers,
}

impl World {
    fn of(config: &str) -> Self {
        let key = key();
        let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        let jwks = json!({"keys": [jwk]}).to_string();
        let text = format!(
            "{SOUND}\n[issuers.one]\njwks_file = \"jwks.json\"\nalgorithms = [\"ES256\"]\n{config}"
        );
        let folder =
            folder(&[("app.toml", &text), ("policies/album.json", POLICY), ("jwks.json", &jwks)]);
        let settings =
            load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production).unwrap();
        let (clock, metrics) = (Clock::manual(now()), IssuerMetrics::default());
        let issuers =
            Issuers::new(settings.rules.issuers, None, &Egress::default(), &clock, &metrics)
                .unwrap();
        Self { key, issuers }
    }

    /// The client and the user that a token identifies, or why it is refused.
    fn verify(&self, mut header: Value, mut claims: Value) -> Result<(String, String), String> {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        header["alg"] = json!("ES256");
        for (claim, secs) in [("iat", NOW), ("exp", NOW + 3600)] {
            claims[claim] = json!(secs);
        }
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, Algorithm::ES256).unwrap();
        let token = format!("{message}.{signature}").into();
        let caller = self.issuers.verify(&token, now()).map_err(|refusal| refusal.to_string())?;
        let subject = caller.subject().unwrap().to_string();
        Ok((caller.client().to_string(), subject))
    }

    fn proves(&self, header: &Value, claims: &Value, subject: &str) {
        let expected = Ok(("app-one".to_owned(), subject.to_owned()));
        assert_eq!(self.verify(header.clone(), claims.clone()), expected, "{claims}");
    }

    /// The same token with some claims changed is refused, with a reason that contains this.
    fn refuses(&self, header: &Value, claims: &Value, more: &Value, reason: &str) {
        let mut claims = claims.clone();
        for (claim, value) in more.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
                value => claims[claim] = value.clone(),
            }
        }
        let refusal = self.verify(header.clone(), claims.clone()).unwrap_err();
        assert!(refusal.contains(reason), "{claims}: {refusal}");
    }
}

/// Server Administration Guide, and what a realm of version 26 issues.
#[test]
fn keycloak_access_tokens_are_accepted_and_its_other_tokens_refused() {
    let world = World::of(
        r#"
        provider = "keycloak"
        issuer = "https://sso.example.com/realms/photos"
        audiences.photos-api = ["app-one"]
        required."/realm_access/roles".contains = ["photos"]
        "#,
    );
    let header = json!({"typ": "JWT"});
    let claims = json!({
        "auth_time": NOW, "jti": "onrtac:59e7b8a0-0b2d-4a0c-a0bd-2ce9f9e4ae2d",
        "iss": "https://sso.example.com/realms/photos", "aud": ["photos-api", "account"],
        "sub": "f:3b1f1c4e-8d0f-4f6e-9b1a-2f0d7c9b5a11:alice", "typ": "Bearer", "azp": "photos-ios",
        "sid": "2f0d7c9b", "acr": "1", "allowed-origins": ["https://photos.example.com"],
        "realm_access": {"roles": ["offline_access", "photos"]},
        "resource_access": {"account": {"roles": ["view-profile"]}},
        "scope": "openid email profile", "email_verified": true, "preferred_username": "alice",
    });
    world.proves(&header, &claims, "f:3b1f1c4e-8d0f-4f6e-9b1a-2f0d7c9b5a11:alice");
    let logout = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    for (more, reason) in [
        (json!({"typ": "ID"}), "`typ`"),
        (json!({"typ": "Refresh"}), "`typ`"),
        (json!({"typ": "Offline"}), "`typ`"),
        (json!({"typ": "Logout", "events": logout}), "`events`"),
        (json!({"realm_access": {"roles": ["offline_access"]}}), "/realm_access/roles"),
        (json!({"aud": "account"}), "`aud`"),
    ] {
        world.refuses(&header, &claims, &more, reason);
    }
}

/// "Access Token Profiles" and "ID Token Structure".
#[test]
fn auth0_access_tokens_of_both_profiles_are_accepted_and_its_id_tokens_refused() {
    let world = World::of(
        r#"
        provider = "auth0"
        issuer = "https://my-domain.auth0.com/"
        [issuers.one.audiences]
        "https://api.example.com/photos" = ["app-one"]
        my_client_id = ["app-one"]
        "#,
    );
    let claims = json!({
        "iss": "https://my-domain.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
        "aud": ["https://api.example.com/photos", "https://my-domain.auth0.com/userinfo"],
        "azp": "my_client_id", "scope": "openid profile read:photos",
    });
    for typ in ["JWT", "at+jwt"] {
        world.proves(&json!({"typ": typ}), &claims, "auth0|5f7c8ec7c33c6c004bbafe82");
    }
    let id = json!({
        "aud": "my_client_id", "azp": null, "scope": null, "nickname": "alice", "sid": "s",
        "nonce": "n-0S6_WzA2Mj",
    });
    world.refuses(&json!({"typ": "JWT"}), &claims, &id, "ID token by its `nonce`");
}

/// "Understanding the access token" and "Understanding the identity (ID) token".
#[test]
fn cognito_access_tokens_are_accepted_by_their_client_id() {
    let world = World::of(
        r#"
        provider = "cognito"
        issuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_example"
        audiences.1example23456789 = ["app-one"]
        required."cognito:groups".contains = ["photos"]
        "#,
    );
    let claims = json!({
        "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "device_key": "aaaaaaaa-bbbb",
        "cognito:groups": ["photos"],
        "iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_example", "version": 2,
        "client_id": "1example23456789", "origin_jti": "a", "event_id": "b", "token_use": "access",
        "scope": "phone openid profile email", "auth_time": NOW, "jti": "c", "username": "my-test-user",
    });
    world.proves(&json!({}), &claims, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    for (more, reason) in [
        (json!({"token_use": "id"}), "`token_use`"),
        (json!({"client_id": null, "token_use": "id", "aud": "1example23456789"}), "`token_use`"),
        (json!({"client_id": "another"}), "`client_id`"),
        (json!({"aud": "another"}), "`aud`"),
        (json!({"cognito:groups": null}), "cognito:groups"),
    ] {
        world.refuses(&json!({}), &claims, &more, reason);
    }
}

/// "Access token claims reference" and "ID token claims reference".
#[test]
fn entra_access_tokens_are_accepted_and_unmarked_id_tokens_refused() {
    let tenant = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
    for (issuer, app, version) in [
        (format!("https://login.microsoftonline.com/{tenant}/v2.0"), "azp", "2.0"),
        (format!("https://sts.windows.net/{tenant}/"), "appid", "1.0"),
    ] {
        let world = World::of(&format!(
            r#"
            provider = "entra"
            issuer = "{issuer}"
            audiences.00001111-aaaa-2222-bbbb-3333cccc4444 = ["app-one"]
            "#
        ));
        let header = json!({"typ": "JWT"});
        let claims = json!({
            "aud": "00001111-aaaa-2222-bbbb-3333cccc4444", "iss": issuer, "nbf": NOW, "aio": "a",
            app: "11112222-bbbb-3333-cccc-4444dddd5555", "azpacr": "0", "name": "Alice",
            "oid": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb", "preferred_username": "alice@contoso.com",
            "rh": "I", "scp": "access_as_user", "sub": "gVIqfv2ne80JJF3GCUBhHGBXqHJZ", "tid": tenant,
            "uti": "u", "ver": version,
        });
        world.proves(&header, &claims, "gVIqfv2ne80JJF3GCUBhHGBXqHJZ");
        let id = json!({app: null, "azpacr": null, "scp": null});
        world.refuses(&header, &claims, &id, &format!("`{app}` is missing"));
        world.refuses(&header, &claims, &json!({app: null, "nonce": "123523"}), "`nonce`");
    }
}

/// "Validate access tokens" and "ID token claims" of the API reference.
#[test]
fn okta_access_tokens_identify_the_user_by_uid_and_not_by_login_name() {
    let world = World::of(
        r#"
        provider = "okta"
        issuer = "https://example.okta.com/oauth2/default"
        [issuers.one.audiences]
        "api://default" = ["app-one"]
        0oabucvyc38HLL1ef0h7 = ["app-one"]
        [issuers.one.required.scp]
        contains = ["photos"]
        "#,
    );
    let claims = json!({
        "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
        "iss": "https://example.okta.com/oauth2/default", "aud": "api://default",
        "cid": "0oabucvyc38HLL1ef0h7", "uid": "00ub0oNGTSWTBKOLGLNR", "scp": ["openid", "photos"],
        "auth_time": NOW, "sub": "alice@example.com", "groups": ["Everyone"],
    });
    world.proves(&json!({}), &claims, "00ub0oNGTSWTBKOLGLNR");
    let id = json!({
        "aud": "0oabucvyc38HLL1ef0h7", "sub": "00ub0oNGTSWTBKOLGLNR", "amr": ["pwd"],
        "idp": "00ok1u7AsAkrwdZL3z0g3", "at_hash": "preyLYpfpWDzRFEtdVQmSQ", "scp": null,
    });
    world.refuses(&json!({}), &claims, &id, "`at_hash`");
    // A program's token has no user.
    let program = json!({"uid": null, "sub": "0oabucvyc38HLL1ef0h7"});
    world.refuses(&json!({}), &claims, &program, "`uid`: missing");
}

/// "OpenID Connect: an ID token's payload".
#[test]
fn google_id_tokens_are_accepted() {
    let client = "1234987819200.apps.googleusercontent.com";
    let world = World::of(&format!(
        "provider = \"google\"\naudiences.\"{client}\" = [\"app-one\"]\nrequired.email_verified.equals = \"true\""
    ));
    let header = json!({"typ": "JWT"});
    let claims = json!({
        "iss": "https://accounts.google.com", "azp": client, "aud": client,
        "sub": "10769150350006150715113082367", "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
        "hd": "example.com", "email": "jsmith@example.com", "email_verified": true,
        "nonce": "0394852-3190485-2490358",
    });
    world.proves(&header, &claims, "10769150350006150715113082367");
    world.refuses(&header, &claims, &json!({"email_verified": false}), "`email_verified`");
    world.refuses(&header, &claims, &json!({"iss": "accounts.google.com"}), "`iss`");
}

/// "Verify ID tokens using a third-party JWT library".
#[test]
fn firebase_id_tokens_are_accepted_and_anonymous_users_can_be_excluded() {
    let world = World::of(
        r#"
        provider = "firebase"
        issuer = "https://securetoken.google.com/my-project"
        audiences.my-project = ["app-one"]
        required."/firebase/sign_in_provider".pattern = "password|google\\.com"
        "#,
    );
    let header = json!({"typ": "JWT"});
    let firebase =
        |by: &str| json!({"identities": {"email": ["alice@example.com"]}, "sign_in_provider": by});
    let claims = json!({
        "iss": "https://securetoken.google.com/my-project", "aud": "my-project", "auth_time": NOW,
        "user_id": "sBzH3dYcXsOOZ", "sub": "sBzH3dYcXsOOZ", "email": "alice@example.com",
        "email_verified": false, "firebase": firebase("password"),
    });
    world.proves(&header, &claims, "sBzH3dYcXsOOZ");
    let anonymous = json!({"firebase": firebase("anonymous")});
    world.refuses(&header, &claims, &anonymous, "/firebase/sign_in_provider");
    let cookie = json!({"iss": "https://session.firebase.google.com/my-project"});
    world.refuses(&header, &claims, &cookie, "`iss`");
}

/// "Authenticating users with Sign in with Apple" and "Processing changes for Sign in with Apple accounts".
#[test]
fn apple_id_tokens_are_accepted_and_its_notifications_refused() {
    let world = World::of(
        "provider = \"apple\"\naudiences.\"com.mytest.app\" = [\"app-one\"]\nrequired.email_verified.equals = \"true\"",
    );
    let claims = json!({
        "iss": "https://appleid.apple.com", "aud": "com.mytest.app",
        "sub": "001999.fe4bde3e41b54ef7a6b1f2f4ac45ff0a.1234", "at_hash": "WiqGpOnL3ZqqJSkWGhnZMg",
        "email": "x@privaterelay.appleid.com", "email_verified": "true", "is_private_email": "true",
        "auth_time": NOW, "nonce_supported": true,
    });
    world.proves(&json!({}), &claims, "001999.fe4bde3e41b54ef7a6b1f2f4ac45ff0a.1234");
    world.refuses(
        &json!({}),
        &json!({"iss": "https://appleid.apple.com", "aud": "com.mytest.app", "jti": "abede67890"}),
        &json!({"events": "{\"type\":\"email-enabled\",\"sub\":\"820417.faa325acbc78e1be1668ba852d492d8a.0219\"}"}),
        "`events`",
    );
}

#[test]
fn a_provider_presets_its_keys_and_explicit_settings_win() {
    let keys = |config: &str| {
        let text = format!("{SOUND}\n[issuers.one]\naudiences.x = [\"app-one\"]\n{config}");
        let mut settings = loaded(&text, &[], Mode::Production).unwrap();
        let issuer = settings.rules.issuers.remove(0);
        let ConfiguredKeys::Fetched(from, _) = &issuer.keys else { panic!("they are fetched") };
        format!("{:?} {from:?}", issuer.algorithms)
    };
    for (config, expected) in [
        ("provider = \"apple\"", "https://appleid.apple.com/auth/keys"),
        ("provider = \"google\"", "https://accounts.google.com/.well-known/openid-configuration"),
        (
            "provider = \"firebase\"\nissuer = \"https://securetoken.google.com/p\"",
            "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
        ),
        (
            "provider = \"keycloak\"\nissuer = \"https://sso.example.com/realms/p\"",
            "https://sso.example.com/realms/p/.well-known/openid-configuration",
        ),
        (
            "provider = \"auth0\"\nissuer = \"https://login.example.com/\"\njwks_url = \"https://own.example.com/jwks\"\nalgorithms = [\"PS256\"]",
            "https://own.example.com/jwks",
        ),
    ] {
        let url = reqwest::Url::parse(expected).unwrap();
        let found = keys(config);
        let (host, path) = (url.host_str().unwrap(), url.path());
        assert!(found.contains(host) && found.contains(path), "{config}: {found}");
        assert_eq!(found.contains("PS256"), config.contains("PS256"), "{found}");
        assert_eq!(found.contains("RS256"), !config.contains("PS256"), "{found}");
    }
}

#[test]
fn an_issuer_that_cannot_be_the_providers_is_refused_with_the_expected_form() {
    for (provider, issuer, way_out) in [
        ("apple", "https://apple.com", "omit it"),
        ("google", "accounts.google.com", "omit it"),
        ("auth0", "https://tenant.auth0.com", "ends with a slash"),
        ("cognito", "https://auth.example.com", "cognito-idp.REGION"),
        ("entra", "https://login.microsoftonline.com/common/v2.0", "one tenant"),
        ("entra", "https://login.microsoftonline.com/organizations/v2.0", "one tenant"),
        ("entra", "https://login.microsoftonline.com/t", "one tenant"),
        ("firebase", "https://accounts.google.com", "PROJECT"),
        ("keycloak", "https://sso.example.com/realms/photos/", "without a slash"),
        ("okta", "https://example.okta.com", "/oauth2/default"),
        ("myspace", "https://example.com", "it must be `apple`, `auth0`, "),
    ] {
        let reported = problems(&format!(
            "[issuers.one]\nprovider = \"{provider}\"\nissuer = \"{issuer}\"\naudiences.x = [\"app-one\"]"
        ));
        assert!(
            reported.starts_with("issuers.one") && reported.contains(way_out),
            "{provider}: {reported}"
        );
    }
}
