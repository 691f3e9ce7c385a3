//! Keys of issuers, for tests only.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;

use super::*;

/// Made with `openssl ecparam -genkey -name prime256v1`; not used anywhere else.
const EC: [&str; 3] = [
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLtdTNO0yoemJCd085R1VgIOCdRIgrjGjMUA3SPkQxfShRANCAAQxVvgujSqlOVIOqD/XC+g4y/jvj6tv62fGt5/MLjM97l8rIon09puYRE9UgNkYbC/WIm139vmSI26FwtyaEGbL",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJyoWBGKzypt5256El97MxKYnY4smjDPeeWTz84XbptShRANCAAR/+9l7oLf3IJt05k7yMPhU2oNHM7o9O0Wk6nr72Nse4QWw7urB+y+R0nm3w/1qYtpEXoMxQnLezJ58+c2dIIeq",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZjEEtllQvi+yJWUSBPBnDNLEC83ZCDxP3RKSpPcTTdyhRANCAASOEEuw87HKydSNyaWJKMNDJD/pHyEzTSDGCmQ/+LeorvznNHMOIIi7Zpbv541lxgbUIIgM4JSUMlzvx5xKwLoY",
];
/// Made with `openssl genrsa 2048`.
const RSA: &str = "MIIEowIBAAKCAQEAr0s2o+FCa2/4A5oOr89i3e0vuWMBoiFAFhxlt0JTnEbQeMinQZDQaqztSIPTf1UYTtL9V2B1eqZahtU5AAMjUjJ+SFKmm3nw9wqXix83EiBadcsw9apYfJG26jhaBk5R6nEVKhb8guRLk1xHInFx1FfM63T/K+C29rwDVnM8GDpNvMmy+2VMYhNTCCNle+so8N68LbvHxc8SGMKK43EVe7ZcUqBLN6Ai8xDlXg97ON9NkvCrRUHsOtU/IOTpmQ0FHFxMTVOkaUyHRC5EsElSo858UdP84sNZVivx7ImOodNfdZgxYRWxwPnR3Cck0vz8w5zbhVG1iQdoriEAXT2PpwIDAQABAoIBABqMaU3FVlo6jrUk8P0pi09nQSdyWj35i+DiviOqNPWMjWhYThSSX9kNhbEfiLmr4/mUNPBggzUR2tC5nF9nGkNfCFyLFVajekjqtBb1oaaU0H6EnqP7qlkmIdjes1Zp0uLkljsArjpjZHArX/lUddPzfu1Y6TNLs7Tcts4HYojx6IULPEymLxBj/GzjwgKzWeqrJTLxpODX/gd54xqu+lQRFEqc6yyUUTdPc+XfLLB9L+fgPzelLXwg0RCiKeQNd0GwWfvJ0Z13RWs7nrBOCRvmWUBfhosBOW3zkGAQyTvVcyvP+Di4vMn+fodnjpcMjFInnXAXtJisK+0/NQS2YbECgYEA575fniZ2uaVnoUpzaxqL6ndOZgP/x0avJsDaxY6lrSzmAZqXu7R0QJNfWafE1XamHSPUsHJbt8lIz15RbSKkBFNo97BXWHGq+9yBiXXMxW74siP9HLS7sNnD7uPhR3Ea5Z8EvPkS0YMY587/xxXuNo0X5PbXL0h6Z4jdToTY53kCgYEAwaRAungaicxZywu8rcIvUNIjuycJ9SuHSYXMsRZTLLyHqgCAtDN/KZO/8NVByVWKT6hWUXg2xltKiKMwt1bmkzEkV94zYKCy3MPNP4ZUc7Vph4gmiAKRelcNLHBnl+TQrVH+jLXGOfgsZtfJ2qhwHq+sX/DCMMBfN6H2xLN7yB8CgYAZTdw69JA6LSlnny2DIF7utyBEW2NuavVtEdnRgIXuptxmiG7Q/B9FfdIHhB4mANKak/MBYTtKkhv1KKNTe1jVcBYiFYs0CRVWcvlh/Q7i7/8P1IYqwEFOSjjuuMs8dckuEXL+/2NipSHvDdc38dkU88sMITfV3eAftf4UOMVGYQKBgQC8PAn7+eJ6T15+JZOtKRXLr+qx9DoWzNB/JQScpIIH++C43jI+eczEQu8TkoqXx4Ji+tWl7oD4gyfJ+TDTGDOdo+ibTdGNvckBF4k+ljskG5ZQ/IXQMwbt8Q9KQp5BJlnAEfOrHsxp75hiBKQg3RnYipa60JRExcwJjXUPMxZBqwKBgCVJT4PpgAVJ+sxhwQtZUX+L4T7qnTkgbSbP5RetDNGWA9PT6mQobW0Gr554swTTuznCFU452sOdqm3XbmhZwcgSHIF7ZScRA1af69+gL4LM8TtbAQvpNvPxTnFIA9bI6qNCW1riTyGsUo1TEUvNkXNDjR4kg+J9HrGnlbf9AfBB";

/// Made with `openssl ecparam -genkey -name secp384r1`.
const EC_384: &str = "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCXMsPbYdRXZ8uFTABDk8GTJY+ersEu3k5BjJY/tUUS9Oe5SG433V+i2KENmi0fusGhZANiAASKKjbFlXg3ceb9fUjn/OPy2VJUmRkLNSp1iuR6HQvQiHvFHQG7I3eBHiJA5a8kK9LQUbpPVZdesjVXbGDaxBAXXj5FjppS4cQZsWa9rLSHGnQ6MPuUT5aWpZ0DoGB7w00=";
/// Made with `openssl genpkey -algorithm ed25519`.
const ED25519: &str = "MC4CAQAwBQYDK2VwBCIEIFdbOJDp1b3AXMwTSEmloaZvb93qepWVh0hds1y8nRZB";

/// A private key and its `kid`.
pub(super) struct Signer {
    kid: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

/// The ES256 key with this number.
pub(super) fn signer(number: usize, kid: &'static str) -> Signer {
    let key = EncodingKey::from_ec_der(&STANDARD.decode(EC[number]).unwrap());
    Signer { kid, algorithm: Algorithm::ES256, key }
}

pub(super) fn rsa_signer(kid: &'static str) -> Signer {
    rsa_signer_with(Algorithm::RS256, kid)
}

pub(super) fn rsa_signer_with(algorithm: Algorithm, kid: &'static str) -> Signer {
    Signer { kid, algorithm, key: EncodingKey::from_rsa_der(&STANDARD.decode(RSA).unwrap()) }
}

pub(super) fn p384_signer(kid: &'static str) -> Signer {
    let key = EncodingKey::from_ec_der(&STANDARD.decode(EC_384).unwrap());
    Signer { kid, algorithm: Algorithm::ES384, key }
}

pub(super) fn ed25519_signer(kid: &'static str) -> Signer {
    let key = EncodingKey::from_ed_der(&STANDARD.decode(ED25519).unwrap());
    Signer { kid, algorithm: Algorithm::EdDSA, key }
}

impl Signer {
    /// The public key as a member of a key set.
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.kid.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    pub(super) fn header(&self) -> Header {
        Header { kid: Some(self.kid.to_owned()), ..Header::new(self.algorithm) }
    }

    pub(super) fn token(&self, claims: &Value) -> SecretString {
        self.token_with(&self.header(), claims)
    }

    /// Signs with a header that the library would not write.
    pub(super) fn token_with_header(&self, header: &Value, claims: &Value) -> SecretString {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm);
        format!("{message}.{}", signature.unwrap()).into()
    }

    pub(super) fn token_with(&self, header: &Header, claims: &Value) -> SecretString {
        encode(header, claims, &self.key).unwrap().into()
    }
}

/// A key set of these public keys.
pub(super) fn key_set(signers: &[&Signer]) -> String {
    json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()}).to_string()
}
