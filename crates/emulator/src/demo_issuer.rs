//! The demo's identity provider: signs JWTs for the users of the demo's photo app.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

/// `iss` of its tokens; the domain is reserved and cannot exist.
pub const DEMO_ISSUER: &str = "https://login.demo.invalid/";
/// `aud` of its tokens.
pub const DEMO_AUDIENCE: &str = "photo-app";
/// The private key, which is public: everyone with this file can be any user of the demo. `config/demo.jwks.json` holds the public
/// key, and only `dev` accepts it.
const DEMO_KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgw6UTVMoi4NDdkhdDuqzHNBNjuCpO37/XqB2siOLdc8ahRANCAATmxlS9p888FoVp9BreZpklBH6GSTTXhckOVmvgWqhdiUwSDAwpLPGm3G1L6PxrvYF3ODs8p05rzToioCsgRTf7";

/// A token for a user of the demo's photo app, valid for an hour.
pub fn demo_jwt(user: &str, now: DateTime<Utc>) -> String {
    demo_jwt_for(user, DEMO_AUDIENCE, now)
}

/// A token for any subject and audience, valid for an hour.
pub fn demo_jwt_for(subject: &str, audience: &str, now: DateTime<Utc>) -> String {
    let claims = json!({
        "iss": DEMO_ISSUER,
        "aud": audience,
        "sub": subject,
        "iat": now.timestamp(),
        "exp": (now + TimeDelta::hours(1)).timestamp(),
    });
    sign(&claims)
}

/// Signs any claims with the demo's key, for tests.
pub fn sign(claims: &serde_json::Value) -> String {
    let der = STANDARD.decode(DEMO_KEY).expect("the demo's key is base64");
    let header = Header { kid: Some("demo".to_owned()), ..Header::new(Algorithm::ES256) };
    let key = EncodingKey::from_ec_der(&der);
    jsonwebtoken::encode(&header, claims, &key).expect("the demo's key signs")
}
