//! A certificate's subject as text, by RFC 4514.

use x509_parser::asn1_rs::Class;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The attribute types that RFC 4514 §3 has short names for, by their object identifiers.
const SHORT_NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// The name, last RDN first. Different names have different texts: special characters are escaped, and attribute
/// types without a short name are written as an OID with the value in hexadecimal.
pub(super) fn rfc4514(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().map(|part| part.iter().map(attribute).collect()).collect();
    let parts = parts.into_iter().rev().map(|attributes: Vec<_>| attributes.join("+"));
    parts.collect::<Vec<_>>().join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let number = attribute.attr_type().to_id_string();
    let short = SHORT_NAMES.iter().find(|(of, _)| *of == number);
    match (short, text_of(attribute)) {
        (Some((_, short)), Some(text)) => format!("{short}={}", escaped(text)),
        (Some((_, kind)), None) => format!("{kind}=#{}", hex_of(attribute)),
        (None, _) => format!("{number}=#{}", hex_of(attribute)),
    }
}

/// The value, if it is a string. `as_str` checks only the tag's number, which means a string in the universal class only.
fn text_of<'a>(attribute: &AttributeTypeAndValue<'a>) -> Option<&'a str> {
    let header = &attribute.attr_value().header;
    let is_text = header.class() == Class::Universal && !header.constructed();
    attribute.as_str().ok().filter(|_| is_text)
}

/// The value in BER, tag and length included.
fn hex_of(attribute: &AttributeTypeAndValue<'_>) -> String {
    let value = attribute.attr_value();
    let tag = value.header.raw_tag().expect("what was parsed has the tag as it was written");
    let length = value.data.len();
    let mut ber = tag.to_vec();
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => ber.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
            ber.push(0x80 | u8::try_from(bytes.len()).expect("at most 8 bytes"));
            ber.extend_from_slice(bytes);
        }
    }
    ber.extend_from_slice(value.data);
    hex::encode(ber)
}

/// RFC 4514 §2.4: `"`, `+`, `,`, `;`, `<`, `>` and `\` anywhere, `#` and a space at the beginning, a space at the end.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let last = text.char_indices().next_back().map_or(0, |(at, _)| at);
    for (at, c) in text.char_indices() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => escaped.extend(['\\', c]),
            '#' if at == 0 => escaped.push_str("\\#"),
            ' ' if at == 0 || at == last => escaped.push_str("\\ "),
            '\0' => escaped.push_str("\\00"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    fn text(parts: &[(DnType, &str)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        rfc4514(X509Certificate::from_der(certificate.der()).unwrap().1.subject())
    }

    #[test]
    fn a_name_is_written_from_the_last_part_to_the_first() {
        let parts = [
            (DnType::CountryName, "CN"),
            (DnType::OrganizationName, "Example"),
            (DnType::CommonName, "app"),
        ];
        assert_eq!(text(&parts), "CN=app,O=Example,C=CN");
    }

    /// Otherwise a common name could imitate a name of two parts.
    #[test]
    fn special_characters_of_rfc_4514_are_escaped() {
        for (value, expected) in [
            ("app,O=Example", r"CN=app\,O=Example"),
            (r#"a"b+c;d<e>f\g"#, r#"CN=a\"b\+c\;d\<e\>f\\g"#),
            (" #a ", r"CN=\ #a\ "),
            ("#a#", r"CN=\#a#"),
            ("é", "CN=é"),
        ] {
            assert_eq!(text(&[(DnType::CommonName, value)]), expected);
        }
    }

    /// RFC 4514's example has another attribute type.
    #[test]
    fn an_attribute_type_without_a_short_name_is_written_as_its_oid() {
        let serial = DnType::from_oid(&[2, 5, 4, 5]);
        assert_eq!(text(&[(serial, "7")]), "2.5.4.5=#0c0137");
    }

    #[test]
    fn the_length_of_a_value_in_hexadecimal_has_the_fewest_bytes() {
        for (length, begin) in [(127, "0c7f"), (128, "0c8180"), (255, "0c81ff"), (300, "0c82012c")]
        {
            let serial = DnType::from_oid(&[2, 5, 4, 5]);
            let expected = format!("2.5.4.5=#{begin}{}", "37".repeat(length));
            assert_eq!(text(&[(serial, &"7".repeat(length))]), expected);
        }
    }

    /// An attribute type, the identifier octet of the value, and its content.
    type Attribute = (&'static [u8], u8, &'static str);

    const CN: &[u8] = &[0x55, 4, 3];
    /// Two types with the short name `id-alg`, of S/MIME and of PKIX.
    const ALGORITHMS: [&[u8]; 2] =
        [&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 3], &[0x2b, 6, 1, 5, 5, 7, 6]];
    const UTF8: u8 = 12;

    fn written(name: &[Vec<Attribute>]) -> String {
        let element = |tag: u8, content: &[u8]| {
            [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
        };
        let rdn = |attributes: &Vec<Attribute>| {
            let attribute = |(kind, tag, value): &Attribute| {
                element(0x30, &[element(6, kind), element(*tag, value.as_bytes())].concat())
            };
            element(0x31, &attributes.iter().flat_map(attribute).collect::<Vec<_>>())
        };
        let der = element(0x30, &name.iter().flat_map(rdn).collect::<Vec<_>>());
        rfc4514(&X509Name::from_der(&der).unwrap().1)
    }

    #[test]
    fn attributes_of_one_rdn_are_joined_by_a_plus() {
        let name = [vec![(CN, UTF8, "a"), (&[0x55, 4, 10], UTF8, "b")], vec![(CN, UTF8, "c")]];
        assert_eq!(written(&name), "CN=c,CN=a+O=b");
    }

    #[test]
    fn a_value_in_hexadecimal_has_its_whole_tag() {
        let [universal, context, sequence] =
            [UTF8, 0x8c, 0x30].map(|tag| written(&[vec![(CN, tag, "a")]]));
        assert_eq!(written(&[vec![(CN, UTF8, "a\0b")]]), r"CN=a\00b");
        assert_eq!([&*universal, &*context, &*sequence], ["CN=a", "CN=#8c0161", "CN=#300161"]);
    }

    proptest! {
        /// The text identifies a client: the owner of one name must not be able to imitate another.
        #[test]
        fn different_names_have_different_texts(
            names in vec(
                vec(
                    vec(
                        (
                            select(vec![CN, ALGORITHMS[0], ALGORITHMS[1], &[0x55, 4, 10]]),
                            select(vec![UTF8, 0x8c, 0x4c, 0x2c, 0x10, 0x30, 30]),
                            select(vec!["", "a", "#0c0161", " ", "a+CN=a", "a,CN=a", "\\", "\\,", "\0", "00"]),
                        ),
                        1..3,
                    ),
                    1..3,
                ),
                24,
            ),
        ) {
            let texts: Vec<_> = names.iter().map(|name| written(name)).collect();
            for (i, one) in names.iter().enumerate() {
                for (j, other) in names[..i].iter().enumerate() {
                    prop_assert_eq!(texts[i] == texts[j], one == other, "{:?} {:?}", one, other);
                }
            }
        }
    }
}
