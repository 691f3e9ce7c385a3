//! One key of a JSON Web Key Set (RFC 7517, RFC 7518 §6, RFC 8037).
//!
//! Parsing is as strict as the verifying library: an accepted key can verify, and a rejected key has a named fault.
//! Harmless deviations in encoding (leading zeroes, base64 padding) are corrected.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::SignatureAlgorithm;
use super::jwks::Key;
use super::problem::shown;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Members that only private and symmetric keys have.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The names of the algorithms of public keys.
const NAMES: [&str; 10] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519"];

/// A key that is meant for tokens but cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FaultyKey {
    /// Its `kid`, or its number in the set.
    name: String,
    fault: String,
}

impl FaultyKey {
    /// The key at this place of its set, counted from 0.
    pub(super) fn new(at: usize, key: &Value, fault: String) -> Self {
        let kid = key.get("kid").and_then(Value::as_str);
        let name = kid.map_or_else(|| format!("number {}", at + 1), shown);
        Self { name, fault }
    }
}

impl fmt::Display for FaultyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key {} cannot be used: {}", self.name, self.fault)
    }
}

/// The key, if it is for one of the wanted algorithms; or its fault.
pub(super) fn read(key: &Value, wanted: &[SignatureAlgorithm]) -> Result<Option<Key>, String> {
    let Value::Object(members) = key else { return Err("it is no JSON object".to_owned()) };
    let jwk = Jwk(members);
    let Some(kind) = jwk.kind()? else { return Ok(None) };
    if !jwk.is_for_verifying()? {
        return Ok(None);
    }
    let algorithms = match jwk.text("alg")? {
        None => kind.algorithms().to_vec(),
        Some(name) => match SignatureAlgorithm::named(name) {
            Some(named) if kind.algorithms().contains(&named) => vec![named],
            Some(_) => {
                return Err(format!("`alg` {} does not go with its `kty` and `crv`", shown(name)));
            }
            None => {
                known_in_another_case("alg", name, &NAMES)?;
                return Ok(None);
            }
        },
    };
    let algorithms: Vec<_> = algorithms
        .into_iter()
        .filter(|algorithm| wanted.contains(&SignatureAlgorithm::from(*algorithm)))
        .collect();
    if algorithms.is_empty() {
        return Ok(None);
    }
    if let Some(name) = PRIVATE.iter().find(|name| members.contains_key(**name)) {
        return Err(format!(
            "it has `{name}`, a part of the private key: anyone who reads it can sign tokens"
        ));
    }
    let id = jwk.text("kid")?.map(str::to_owned);
    let verifying = match kind {
        Kind::Rsa => jwk.rsa()?,
        Kind::P256 => jwk.elliptic(32, &ECDSA_P256_SHA256_FIXED)?,
        Kind::P384 => jwk.elliptic(48, &ECDSA_P384_SHA384_FIXED)?,
        Kind::Ed25519 => jwk.edwards()?,
    };
    Ok(Some(Key::new(id, algorithms, verifying)))
}

#[derive(Clone, Copy)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Kind {
    fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Rsa => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            Self::P256 => &[Algorithm::ES256],
            Self::P384 => &[Algorithm::ES384],
            Self::Ed25519 => &[Algorithm::EdDSA],
        }
    }
}

struct Jwk<'a>(&'a Map<String, Value>);

impl<'a> Jwk<'a> {
    /// The kind of key, if it is supported.
    fn kind(&self) -> Result<Option<Kind>, String> {
        let kty = self.text("kty")?.ok_or("`kty` is missing")?;
        let curves: &[(&str, Kind)] = match kty {
            "RSA" => return Ok(Some(Kind::Rsa)),
            "EC" => &[("P-256", Kind::P256), ("P-384", Kind::P384)],
            "OKP" => &[("Ed25519", Kind::Ed25519)],
            other => {
                known_in_another_case("kty", other, &["RSA", "EC", "OKP"])?;
                return Ok(None);
            }
        };
        let named = self.text("crv")?.ok_or("`crv` is missing")?;
        if let Some((_, kind)) = curves.iter().find(|(name, _)| *name == named) {
            return Ok(Some(*kind));
        }
        let names: Vec<_> = curves.iter().map(|(name, _)| *name).collect();
        known_in_another_case("crv", named, &names)?;
        Ok(None)
    }

    /// Whether `use` and `key_ops` allow verifying signatures. If both are present, both must.
    fn is_for_verifying(&self) -> Result<bool, String> {
        let is_for_signatures = match self.text("use")? {
            None => false,
            Some("sig") => true,
            Some(other) => {
                known_in_another_case("use", other, &["sig"])?;
                return Ok(false);
            }
        };
        let Some(operations) = self.0.get("key_ops") else { return Ok(true) };
        let operations = operations.as_array().ok_or("`key_ops` is no list")?;
        if operations.iter().any(|operation| operation == "verify") {
            return Ok(true);
        }
        for operation in operations.iter().filter_map(Value::as_str) {
            known_in_another_case("key_ops", operation, &["verify"])?;
        }
        if is_for_signatures {
            return Err("`use` is for signatures, and `key_ops` has no \"verify\"".to_owned());
        }
        Ok(false)
    }

    fn rsa(&self) -> Result<DecodingKey, String> {
        let (n, e) = (self.number("n")?, self.number("e")?);
        let bits = bits(&n);
        if !(2048..=8192).contains(&bits) {
            return Err(format!("`n` has {bits} bits; keys of 2048 to 8192 bits can be used"));
        }
        if !is_odd(&n) {
            return Err("`n` is even, so it is no modulus".to_owned());
        }
        // The exponents that aws-lc supports.
        if !is_odd(&e) || !(2..=33).contains(&self::bits(&e)) {
            return Err("`e` is none that can be used; it is 65537 mostly, \"AQAB\"".to_owned());
        }
        Ok(DecodingKey::from_rsa_raw_components(&n, &e))
    }

    fn elliptic(
        &self,
        width: usize,
        algorithm: &'static dyn VerificationAlgorithm,
    ) -> Result<DecodingKey, String> {
        // An uncompressed point.
        let mut point = vec![4];
        for name in ["x", "y"] {
            let number = self.number(name)?;
            let zeroes = width.checked_sub(number.len());
            let zeroes = zeroes.ok_or_else(|| format!("`{name}` has more than {width} bytes"))?;
            point.extend(std::iter::repeat_n(0, zeroes));
            point.extend(number);
        }
        ParsedPublicKey::new(algorithm, &point)
            .map_err(|_| "`x` and `y` are no point of its curve".to_owned())?;
        Ok(DecodingKey::from_ec_der(&point))
    }

    fn edwards(&self) -> Result<DecodingKey, String> {
        let x = self.bytes("x")?;
        if x.len() != 32 {
            return Err(format!("`x` has {} bytes, and not 32", x.len()));
        }
        Ok(DecodingKey::from_ed_der(&x))
    }

    /// A number without leading zeroes, which some issuers write.
    fn number(&self, name: &str) -> Result<Vec<u8>, String> {
        let bytes = self.bytes(name)?;
        let zeroes = bytes.iter().take_while(|byte| **byte == 0).count();
        Ok(bytes[zeroes..].to_vec())
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        let text = self.text(name)?.ok_or_else(|| format!("`{name}` is missing"))?;
        // Some issuers write standard base64.
        let text = text.replace('+', "-").replace('/', "_");
        BASE64.decode(text).map_err(|_| format!("`{name}` is no base64url"))
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, String> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{name}` is no text")),
        }
    }
}

/// All values are case-sensitive: a known value in another case is an error, not an unknown value.
fn known_in_another_case(name: &str, word: &str, known: &[&str]) -> Result<(), String> {
    match known.iter().find(|known| known.eq_ignore_ascii_case(word)) {
        Some(known) => Err(format!("`{name}` is {}; it is written {known:?}", shown(word))),
        None => Ok(()),
    }
}

/// The bit length of a number without leading zeroes.
fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last % 2 == 1)
}
