//! Parsing of key sets, and the faults of single keys.

use super::signing::{
    Signer, ed25519_signer, key_set, p384_signer, rsa_signer, rsa_signer_with, signer,
};
use super::*;

const ALL: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

fn read(set: &Value) -> Result<Jwks, KeyProblem> {
    Jwks::from_jwks(set.to_string().as_bytes(), &algorithms(&ALL))
}

fn issuers_with(set: &Value) -> Issuers {
    let keys = ConfiguredKeys::Static(read(set).unwrap());
    issuers(Issuer { algorithms: algorithms(&ALL), keys, ..issuer("https://login.example.com/") })
}

/// The signer's public key with some members changed; `null` removes a member.
fn jwk(signer: &Signer, more: Value) -> Value {
    let mut jwk = signer.jwk();
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(jwk.as_object_mut().unwrap().remove(name)),
            value => jwk[name] = value.clone(),
        }
    }
    jwk
}

fn set(keys: &[Value]) -> Value {
    json!({"keys": keys})
}

fn accepts(keys: &[Value], token: &SecretString) -> bool {
    issuers_with(&set(keys)).verify(token, now()).is_ok()
}

fn signers() -> Vec<Signer> {
    let rsa = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ];
    let rsa = rsa.map(|algorithm| rsa_signer_with(algorithm, "one"));
    rsa.into_iter().chain([signer(0, "one"), p384_signer("one"), ed25519_signer("one")]).collect()
}

#[test]
fn every_algorithm_verifies_with_its_own_key_and_no_other() {
    for own in signers() {
        let plain = own.jwk();
        let unnamed = jwk(&own, json!({"alg": null, "kid": null}));
        let token = own.token(&good());
        for key in [&plain, &unnamed] {
            assert!(accepts(std::slice::from_ref(key), &token), "{key}");
        }
        let mut changed = token.expose_secret().as_bytes().to_vec();
        let at = changed.len() - 20;
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap().into();
        assert!(!accepts(std::slice::from_ref(&plain), &changed), "{plain}");
        for other in signers().into_iter().filter(|other| other.jwk()["alg"] != plain["alg"]) {
            // A key for one algorithm is not used with another, even if its type would allow it.
            assert!(!accepts(&[other.jwk()], &token), "{plain} {}", other.jwk());
        }
    }
}

/// RFC 9864 renames `EdDSA` with such a key; tokens, keys and configurations use either name.
#[test]
fn ed25519_has_two_names() {
    let signer = ed25519_signer("one");
    for of_key in [json!("EdDSA"), json!("Ed25519"), Value::Null] {
        for of_token in ["EdDSA", "Ed25519"] {
            let key = jwk(&signer, json!({"alg": of_key}));
            let header = json!({"alg": of_token, "kid": "one", "typ": "JWT"});
            let token = signer.token_with_header(&header, &good());
            assert!(accepts(&[key], &token), "{of_key} {of_token}");
        }
    }
    assert_eq!(algorithms(&["EdDSA"]), algorithms(&["Ed25519"]));
    let header = json!({"alg": "Ed448", "kid": "one"});
    let token = signer.token_with_header(&header, &good());
    let refusal = issuers_with(&set(&[signer.jwk()])).verify(&token, now()).unwrap_err();
    assert_eq!(refusal, JwtProblem::Algorithm);
}

/// Duplicate keys, keys that share a `kid`, and tokens without a `kid`.
#[test]
fn every_key_that_fits_a_token_is_tried_in_whatever_order() {
    let (one, two) = (signer(0, "one"), signer(1, "one"));
    let (token, nameless) = (one.token(&good()), Header { kid: None, ..one.header() });
    let nameless = one.token_with(&nameless, &good());
    let other_name = jwk(&two, json!({"kid": "two"}));
    let unnamed = jwk(&one, json!({"kid": null}));
    for keys in [
        vec![one.jwk(), one.jwk()],
        vec![one.jwk(), jwk(&one, json!({"use": "sig"})), jwk(&one, json!({"alg": null}))],
        vec![one.jwk(), two.jwk()],
        vec![two.jwk(), one.jwk()],
        vec![other_name.clone(), one.jwk(), rsa_signer("one").jwk()],
        vec![other_name.clone(), unnamed.clone()],
        vec![unnamed.clone(), two.jwk(), other_name],
    ] {
        for token in [&token, &nameless] {
            assert!(accepts(&keys, token), "{keys:?}");
            let reversed: Vec<_> = keys.iter().rev().cloned().collect();
            assert!(accepts(&reversed, token), "{reversed:?}");
        }
    }
    assert_eq!(
        read(&set(&[one.jwk(), one.jwk(), two.jwk()])).unwrap().len(),
        2,
        "each is held once"
    );
    // A token that no key verifies is refused.
    assert!(!accepts(&[two.jwk(), signer(2, "one").jwk()], &token));
}

/// The cost of a forged token is bounded, and beyond the bound the order of the keys does not matter.
#[test]
fn a_token_that_too_many_keys_fit_is_refused() {
    let own = signer(0, "own");
    let nameless = own.token_with(&Header { kid: None, ..own.header() }, &good());
    let others = |count: usize| {
        let kid = |n: usize| jwk(&signer(1, "other"), json!({"kid": format!("other-{n}")}));
        (0..count).map(kid).collect::<Vec<_>>()
    };
    let with_own = |count: usize, at: usize| {
        let mut keys = others(count);
        keys.insert(at, own.jwk());
        issuers_with(&set(&keys))
    };
    for at in [0, 7, MAX_KEYS_TRIED - 1] {
        assert!(with_own(MAX_KEYS_TRIED - 1, at).verify(&nameless, now()).is_ok(), "{at}");
        let refusal = with_own(MAX_KEYS_TRIED, at).verify(&nameless, now()).unwrap_err();
        assert_eq!(refusal, JwtProblem::ManyKeys, "{at}");
        assert!(with_own(100, at).verify(&own.token(&good()), now()).is_ok(), "it names its key");
    }
}

/// Tokens that an unchanged key verified stay cached. A key that differs in any member is a new key, even with the same `kid`.
#[test]
fn an_unchanged_key_keeps_its_identity_across_fetches() {
    use crate::auth::jwt::active_jwks::{ActiveJwks, Change};
    use appserver_domain::clock::Moment;
    let at = Moment::at(now());
    let hour = std::time::Duration::from_hours(1);
    let other_modulus = |jwk: &Value| {
        let mut n = bytes(jwk, "n");
        n[100] ^= 1;
        json!({"n": base64(&n)})
    };
    let (rsa, ec) = (rsa_signer("one"), signer(0, "one"));
    let others = [
        (rsa.jwk(), jwk(&rsa, other_modulus(&rsa.jwk()))),
        (rsa.jwk(), jwk(&rsa, json!({"e": "Aw"}))),
        (rsa.jwk(), jwk(&rsa, json!({"alg": "RS512"}))),
        (rsa.jwk(), jwk(&rsa, json!({"kid": "two"}))),
        (rsa.jwk(), ec.jwk()),
        (ec.jwk(), signer(1, "one").jwk()),
        (p384_signer("one").jwk(), ec.jwk()),
        (ed25519_signer("one").jwk(), ec.jwk()),
    ];
    for (key, other) in others {
        let fetched = |key: &Value| read(&set(std::slice::from_ref(key))).unwrap();
        let ring = ActiveJwks::new(fetched(&key));
        let held = || {
            let all = ALL.iter().filter_map(|name| SignatureAlgorithm::named(name));
            all.flat_map(|algorithm| ring.fitting(None, algorithm, at)).next().unwrap()
        };
        let before = held();
        let change = ring.replace(fetched(&key), at, hour);
        assert_eq!(change, Change { added: 0, removed: 0, count: 1 }, "{key}");
        assert!(Arc::ptr_eq(&before, &held()) && before.is_valid(at), "{key}");
        let change = ring.replace(fetched(&other), at, hour);
        assert_eq!(change, Change { added: 1, removed: 1, count: 1 }, "{key} {other}");
        assert!(!before.is_valid(at), "{key} {other}");
    }
}

fn base64(bytes: &[u8]) -> Value {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    json!(URL_SAFE_NO_PAD.encode(bytes))
}

fn bytes(jwk: &Value, member: &str) -> Vec<u8> {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    URL_SAFE_NO_PAD.decode(jwk[member].as_str().unwrap()).unwrap()
}

/// Another encoding of the same numbers is the same key.
#[test]
fn leading_zeroes_and_base64_padding_of_a_key_are_accepted() {
    let zeroes = |jwk: &Value, member: &str| base64(&[&[0, 0][..], &bytes(jwk, member)].concat());
    let padded = |jwk: &Value, member: &str| {
        let text = jwk[member].as_str().unwrap();
        let padding = "=".repeat((4 - text.len() % 4) % 4);
        json!(format!("{text}{padding}"))
    };
    let standard = |jwk: &Value, member: &str| {
        json!(jwk[member].as_str().unwrap().replace('-', "+").replace('_', "/"))
    };
    let rsa = rsa_signer("one");
    let ed = ed25519_signer("one");
    let (p256, p384) = (signer(0, "one"), p384_signer("one"));
    for (signer, members) in [(&rsa, ["n", "e"]), (&p256, ["x", "y"]), (&p384, ["x", "y"])] {
        let plain = signer.jwk();
        for member in members {
            for written in [zeroes, padded, standard] {
                let key = jwk(signer, json!({member: written(&plain, member)}));
                assert!(accepts(std::slice::from_ref(&key), &signer.token(&good())), "{key}");
                let read = read(&set(&[plain.clone(), key])).unwrap();
                assert_eq!(read.len(), 1, "it is the same key");
            }
        }
    }
    for written in [padded, standard] {
        let key = jwk(&ed, json!({"x": written(&ed.jwk(), "x")}));
        assert!(accepts(std::slice::from_ref(&key), &ed.token(&good())), "{key}");
    }
}

/// Some issuers omit a leading zero byte of a coordinate. This point is 379 times the base point of P-256.
#[test]
fn a_coordinate_without_its_leading_zero_byte_is_accepted() {
    let full = json!({
        "kty": "EC", "crv": "P-256", "kid": "one",
        "x": "AFVDiUrz0A7X10Cr29dclrBod7eH219w7qeLkKjXwAo", "y": "u0yFo9jqKe-q-iRAaRLdhNWxTcMr9lbvbGvVil2UP5I",
    });
    let short = |member: &str| {
        let bytes = bytes(&full, member);
        let zeroes = bytes.iter().take_while(|byte| **byte == 0).count();
        (zeroes > 0).then(|| base64(&bytes[zeroes..]))
    };
    let mut key = full.clone();
    let shortened: Vec<_> =
        ["x", "y"].into_iter().filter_map(|member| Some((member, short(member)?))).collect();
    assert!(!shortened.is_empty());
    for (member, short) in shortened {
        key[member] = short;
    }
    assert_eq!(read(&set(&[full, key])).unwrap().len(), 1);
}

#[test]
fn each_fault_of_a_key_is_named_and_affects_no_other_key() {
    let rsa = rsa_signer("rsa");
    let (ec, ed) = (signer(0, "ec"), ed25519_signer("ed"));
    let mut other_x = bytes(&ec.jwk(), "x");
    other_x[9] ^= 1;
    let short = base64(&bytes(&rsa.jwk(), "n")[..128]);
    let mut even = bytes(&rsa.jwk(), "n");
    *even.last_mut().unwrap() ^= 1;
    let faulty = [
        json!("a text"),
        json!({"kid": "none"}),
        jwk(&rsa, json!({"kty": "rsa"})),
        jwk(&rsa, json!({"kty": 7})),
        jwk(&rsa, json!({"alg": "rs256"})),
        jwk(&rsa, json!({"alg": "ES256"})),
        jwk(&rsa, json!({"use": "SIG"})),
        jwk(&rsa, json!({"use": ["sig"]})),
        jwk(&rsa, json!({"key_ops": ["Verify"]})),
        jwk(&rsa, json!({"key_ops": "verify"})),
        jwk(&rsa, json!({"use": "sig", "key_ops": ["sign"]})),
        jwk(&rsa, json!({"kid": 7})),
        jwk(&rsa, json!({"n": null})),
        jwk(&rsa, json!({"n": "%%"})),
        jwk(&rsa, json!({"n": ""})),
        jwk(&rsa, json!({"n": short})),
        jwk(&rsa, json!({"n": base64(&even)})),
        jwk(&rsa, json!({"e": "Ag"})),
        jwk(&rsa, json!({"e": "AQ"})),
        jwk(&rsa, json!({"e": "AQAAAAAB"})),
        jwk(&rsa, json!({"d": "AAAA"})),
        jwk(&ec, json!({"crv": null})),
        jwk(&ec, json!({"crv": "p-256"})),
        jwk(&ec, json!({"x": base64(&other_x)})),
        jwk(&ec, json!({"y": null})),
        jwk(&ec, json!({"y": base64(&[1; 33])})),
        jwk(&ed, json!({"crv": "ED25519"})),
        jwk(&ed, json!({"x": base64(&[1; 31])})),
    ];
    let good_key = p384_signer("good");
    let keys: Vec<_> = faulty.iter().cloned().chain([good_key.jwk()]).collect();
    let keys = read(&set(&keys)).unwrap();
    assert_eq!((keys.len(), keys.faulty().len()), (1, faulty.len()));
    let named: Vec<_> = keys.faulty().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(named.join("\n"), @r#"
the key number 1 cannot be used: it is no JSON object
the key "none" cannot be used: `kty` is missing
the key "rsa" cannot be used: `kty` is "rsa"; it is written "RSA"
the key "rsa" cannot be used: `kty` is no text
the key "rsa" cannot be used: `alg` is "rs256"; it is written "RS256"
the key "rsa" cannot be used: `alg` "ES256" does not go with its `kty` and `crv`
the key "rsa" cannot be used: `use` is "SIG"; it is written "sig"
the key "rsa" cannot be used: `use` is no text
the key "rsa" cannot be used: `key_ops` is "Verify"; it is written "verify"
the key "rsa" cannot be used: `key_ops` is no list
the key "rsa" cannot be used: `use` is for signatures, and `key_ops` has no "verify"
the key number 12 cannot be used: `kid` is no text
the key "rsa" cannot be used: `n` is missing
the key "rsa" cannot be used: `n` is no base64url
the key "rsa" cannot be used: `n` has 0 bits; keys of 2048 to 8192 bits can be used
the key "rsa" cannot be used: `n` has 1024 bits; keys of 2048 to 8192 bits can be used
the key "rsa" cannot be used: `n` is even, so it is no modulus
the key "rsa" cannot be used: `e` is none that can be used; it is 65537 mostly, "AQAB"
the key "rsa" cannot be used: `e` is none that can be used; it is 65537 mostly, "AQAB"
the key "rsa" cannot be used: `e` is none that can be used; it is 65537 mostly, "AQAB"
the key "rsa" cannot be used: it has `d`, a part of the private key: anyone who reads it can sign tokens
the key "ec" cannot be used: `crv` is missing
the key "ec" cannot be used: `crv` is "p-256"; it is written "P-256"
the key "ec" cannot be used: `x` and `y` are no point of its curve
the key "ec" cannot be used: `y` is missing
the key "ec" cannot be used: `y` has more than 32 bytes
the key "ed" cannot be used: `crv` is "ED25519"; it is written "Ed25519"
the key "ed" cannot be used: `x` has 31 bytes, and not 32
"#);
    let alone = read(&set(&faulty[2..4])).unwrap_err();
    insta::assert_snapshot!(alone.to_string(), @r#"no key in it can verify a signature of the configured algorithms; the key "rsa" cannot be used: `kty` is "rsa"; it is written "RSA"; the key "rsa" cannot be used: `kty` is no text"#);
}

/// RFC 7517 §5: unsupported keys of a set are ignored.
#[test]
fn keys_for_other_purposes_are_ignored_silently() {
    let rsa = rsa_signer("rsa");
    let (ec, ed) = (signer(0, "ec"), ed25519_signer("ed"));
    let others = [
        json!({"kty": "oct", "kid": "one", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "new", "pub": "AAAA"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "crv": "P-521", "alg": "ES512", "x": "AA", "y": "AA"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "AA"}),
        jwk(&rsa, json!({"use": "enc"})),
        jwk(&rsa, json!({"alg": "RSA-OAEP-256"})),
        jwk(&rsa, json!({"alg": null, "key_ops": ["encrypt", "wrapKey"]})),
        jwk(&ec, json!({"alg": null, "key_ops": ["sign"]})),
        jwk(&ed, json!({"key_ops": []})),
    ];
    let good_key = p384_signer("good");
    let keys: Vec<_> = others.iter().cloned().chain([good_key.jwk()]).collect();
    let read_keys = read(&set(&keys)).unwrap();
    assert_eq!((read_keys.len(), read_keys.faulty()), (1, &[][..]));
    // A key is used if `verify` is one of its operations.
    for more in
        [json!({"key_ops": ["verify"]}), json!({"use": "sig", "key_ops": ["sign", "verify"]})]
    {
        assert!(accepts(&[jwk(&rsa, more)], &rsa.token(&good())));
    }
    // Certificates are ignored, whatever they contain.
    for x5c in [json!("no list"), json!([7]), json!(["MIIB"])] {
        let key = jwk(&rsa, json!({"x5c": x5c, "x5t": 7}));
        assert!(accepts(&[key], &rsa.token(&good())));
    }
}

#[test]
fn a_key_set_may_begin_with_a_byte_order_mark() {
    let signer = signer(0, "one");
    let marked = [b"\xef\xbb\xbf".as_slice(), key_set(&[&signer]).as_bytes()].concat();
    let keys = Jwks::from_jwks(&marked, &algorithms(&["ES256"])).unwrap();
    assert_eq!(keys.len(), 1);
}

/// Users with many groups have long tokens: every token that fits a request's head is read.
#[test]
fn tokens_are_read_up_to_the_maximum_length() {
    let issuers = issuers(issuer("https://login.example.com/"));
    let with = |groups: usize| {
        let mut claims = good();
        claims["groups"] = json!("g".repeat(groups));
        token(&claims)
    };
    // Base64 has four characters for three bytes.
    let room = LONGEST_TOKEN - with(0).expose_secret().len();
    let longest = (0..).map(|less| with(room / 4 * 3 + 3 - less));
    let longest =
        longest.into_iter().find(|token| token.expose_secret().len() <= LONGEST_TOKEN).unwrap();
    assert!(longest.expose_secret().len() > LONGEST_TOKEN - 4);
    assert!(issuers.verify(&longest, now()).is_ok());
    let longer = with(room / 4 * 3 + 6);
    assert_eq!(issuers.verify(&longer, now()).unwrap_err(), JwtProblem::Malformed);
}
