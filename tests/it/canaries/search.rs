//! Recognisable secrets (canaries), and the search for them in outputs.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use regex::bytes::RegexBuilder;

/// The piece length: 39 consecutive characters of a long secret contain one whole piece.
const PIECE: usize = 20;
/// Only the beginning of a longer secret is searched for in all forms.
const HEAD: usize = 45;

/// A secret that no text contains by chance. Long enough for a shared secret, with characters that some encodings
/// change.
pub(super) fn canary(name: &str) -> String {
    format!("Canary+{name}/is-nobodys-business=")
}

/// The secrets that no output may contain.
#[derive(Default)]
pub(super) struct Canaries(Vec<(String, Vec<u8>)>);

impl Canaries {
    pub(super) fn plant(&mut self, name: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref().to_vec();
        assert!(secret.len() >= PIECE, "`{name}` is too short to differ from all other text");
        self.0.push((name.to_owned(), secret));
    }

    /// Makes a new canary.
    pub(super) fn new_secret(&mut self, name: &str) -> String {
        let secret = canary(name);
        self.plant(name, &secret);
        secret
    }

    /// The lines of a private key, each of which is a part of the secret.
    pub(super) fn plant_pem(&mut self, name: &str, pem: &str) {
        let lines = pem.lines().filter(|line| !line.starts_with('-') && line.len() >= PIECE);
        lines.for_each(|line| self.plant(name, line));
    }

    /// The signature of a JWT.
    pub(super) fn plant_jwt(&mut self, name: &str, jwt: &str) {
        self.plant(name, jwt.rsplit('.').next().unwrap());
    }

    /// Every output that contains one, with the canary's name and the text around it.
    pub(super) fn found_in(&self, outputs: &[(String, Vec<u8>)]) -> Vec<String> {
        let mut forms: Vec<(String, &str)> = Vec::new();
        for (name, secret) in &self.0 {
            forms.extend(forms_of(secret).into_iter().map(|form| (form, name.as_str())));
        }
        let any: Vec<_> = forms.iter().map(|(form, _)| regex::escape(form)).collect();
        let any = RegexBuilder::new(&any.join("|")).size_limit(1 << 30).unicode(false).build();
        let any = any.unwrap();
        let mut found = Vec::new();
        for (output, bytes) in outputs {
            for hit in any.find_iter(bytes).take(40) {
                let form = forms.iter().find(|(form, _)| form.as_bytes() == hit.as_bytes());
                let around =
                    &bytes[hit.start().saturating_sub(200)..bytes.len().min(hit.end() + 100)];
                let (around, name) = (String::from_utf8_lossy(around), form.unwrap().1);
                found.push(format!("`{name}` in {output}: …{around}…"));
            }
        }
        found
    }
}

/// All encodings of a secret.
fn forms_of(secret: &[u8]) -> Vec<String> {
    let head = &secret[..secret.len().min(HEAD)];
    let mut forms = vec![
        hex::encode(head),
        hex::encode_upper(head),
        percent_encode(head, NON_ALPHANUMERIC).to_string(),
        // As `Debug` prints bytes.
        format!("{head:?}").trim_matches(['[', ']']).to_owned(),
    ];
    // At each offset in the encoded bytes: without the characters that depend on its neighbours.
    for before in 0..3 {
        let shifted = [&[0; 2][..before], head].concat();
        let whole = shifted.len() / 3 * 4;
        for engine in [STANDARD, URL_SAFE] {
            forms.push(engine.encode(&shifted)[if before == 0 { 0 } else { 4 }..whole].to_owned());
        }
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        if secret.len() <= HEAD {
            forms.push(text.to_owned());
        } else {
            let pieces = text.as_bytes().chunks_exact(PIECE);
            forms.extend(pieces.map(|piece| String::from_utf8(piece.to_vec()).unwrap()));
        }
    }
    forms
}

/// The search finds every encoding.
#[test]
fn a_canary_is_found_in_every_form() {
    let mut canaries = Canaries::default();
    let secret = canaries.new_secret("one");
    let long: String = (0..100).map(|number| format!("{number:03}/")).collect();
    canaries.plant("long", &long);
    let hidden = |text: &str| canaries.found_in(&[("out".to_owned(), text.into())]).len();
    for before in ["", "a", "ab", "client:"] {
        let pair = format!("{before}{secret} and more");
        for text in [
            STANDARD.encode(&pair),
            URL_SAFE.encode(&pair),
            hex::encode(&pair),
            hex::encode_upper(&pair),
            percent_encode(pair.as_bytes(), NON_ALPHANUMERIC).to_string(),
            format!("{:?}", pair.as_bytes()),
            pair.clone(),
        ] {
            assert_eq!(hidden(&text), 1, "{text}");
        }
    }
    for start in 0..long.len() - 40 {
        assert!(hidden(&long[start..start + 40]) > 0, "{start}");
    }
    assert_eq!(hidden("Canary+two/is-nobodys-business="), 0);
}
