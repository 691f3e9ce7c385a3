//! Policies that apps request within grants as they are in use: what is narrower is accepted, with few exceptions.

use crate::containment::requested_policy::RequestedPolicy;
use crate::document::tree::Document;
use crate::exact::Inclusion;

/// A grant by name, and statements that an app requests of it. `BUCKET` stands for the bucket's resource.
struct Ask {
    name: &'static str,
    grant: &'static str,
    statements: &'static str,
}

const fn ask(name: &'static str, grant: &'static str, statements: &'static str) -> Ask {
    Ask { name, grant, statements }
}

/// A user's own prefix, as in `config/policies/my-photos.json`.
const OWN: &str = r#"
    {"Effect":"Allow","Action":["oss:GetObject","oss:PutObject","oss:AbortMultipartUpload","oss:ListParts","oss:DeleteObject"],
     "Resource":"BUCKET/users/alice/*"},
    {"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET",
     "Condition":{"StringLike":{"oss:Prefix":["users/alice/","users/alice/*"]}}}"#;

/// Everything that reads, under two prefixes.
const ARCHIVE: &str = r#"
    {"Effect":"Allow","Action":["oss:Get*","oss:ListObjects"],"Resource":["BUCKET/2014/*","BUCKET/2015/*"]},
    {"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET",
     "Condition":{"StringLike":{"oss:Prefix":"2014/*"}}},
    {"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET",
     "Condition":{"StringLike":{"oss:Prefix":"2015/*"}}}"#;

/// An album, with a part that is never written to.
const ALBUM: &str = r#"
    {"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"BUCKET/albums/7/*"},
    {"Effect":"Deny","NotAction":"oss:Get*","Resource":"BUCKET/albums/7/originals/*"}"#;

/// From the office, over TLS, until the end of a year, small pages only.
const OFFICE: &str = r#"
    {"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"BUCKET/office/*",
     "Condition":{"IpAddress":{"acs:SourceIp":["10.0.0.0/8","203.0.113.0/24","2001:db8::/32"]},
                  "DateLessThan":{"acs:CurrentTime":"2027-01-01T00:00:00Z"},
                  "Bool":{"acs:SecureTransport":"true"}}},
    {"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET",
     "Condition":{"NumericLessThanEquals":{"oss:MaxKeys":"100"},
                  "StringEqualsIgnoreCase":{"oss:Prefix":["office/","public/"]}}}"#;

/// All but what destroys.
const ALL_BUT: &str = r#"
    {"Effect":"Allow","NotAction":["oss:Delete*","oss:PutBucket*"],"Resource":["BUCKET","BUCKET/shared/*"],
     "Condition":{"StringNotLike":{"oss:Prefix":"shared/private/*"},"NotIpAddress":{"acs:SourceIp":"10.9.0.0/16"}}}"#;

const ASKS: &[Ask] = &[
    // One key, one album, fewer actions.
    ask(
        "upload to one key",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:PutObject","Resource":"BUCKET/users/alice/a.jpg"}"#,
    ),
    ask(
        "multipart upload to one key",
        OWN,
        r#"{"Effect":"Allow","Action":["oss:PutObject","oss:AbortMultipartUpload","oss:ListParts"],"Resource":"BUCKET/users/alice/film.mp4"}"#,
    ),
    ask(
        "read one key",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/alice/a.jpg"}"#,
    ),
    ask(
        "one album",
        OWN,
        r#"{"Effect":"Allow","Action":["oss:GetObject","oss:DeleteObject"],"Resource":"BUCKET/users/alice/2015/*"}"#,
    ),
    ask(
        "several keys",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":["BUCKET/users/alice/a.jpg","BUCKET/users/alice/b.jpg"]}"#,
    ),
    ask(
        "duplicates",
        OWN,
        r#"{"Effect":"Allow","Action":["oss:GetObject","oss:GetObject"],"Resource":["BUCKET/users/alice/a","BUCKET/users/alice/a"]}"#,
    ),
    ask(
        "region and account",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:oss-cn-hangzhou:1234567890123456:sample-bucket/users/alice/a"}"#,
    ),
    ask("all of the grant", OWN, OWN),
    // Listings.
    ask(
        "list a folder",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET","Condition":{"StringLike":{"oss:Prefix":"users/alice/2015/*"}}}"#,
    ),
    ask(
        "list a folder by name",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET","Condition":{"StringLike":{"oss:Prefix":"users/alice/*"},"StringEquals":{"oss:Prefix":"users/alice/2015/"}}}"#,
    ),
    ask(
        "list with a delimiter",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":["BUCKET"],"Condition":{"StringLike":{"oss:Prefix":["users/alice/"]},"StringEquals":{"oss:Delimiter":"/"}}}"#,
    ),
    ask(
        "list two folders of two statements",
        ARCHIVE,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET","Condition":{"StringLike":{"oss:Prefix":["2014/12/*","2015/01/*"]}}}"#,
    ),
    ask(
        "list two folders and read them",
        ARCHIVE,
        r#"{"Effect":"Allow","Action":["oss:ListObjects","oss:GetObject"],"Resource":["BUCKET/2014/*","BUCKET/2015/*"]},
        {"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET","Condition":{"StringLike":{"oss:Prefix":["2014/*","2015/*"]}}}"#,
    ),
    ask(
        "list by equal names of two statements",
        ARCHIVE,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET","Condition":{"StringLike":{"oss:Prefix":["2014/a/","2015/b/"]},"StringEquals":{"oss:Delimiter":"/"}}}"#,
    ),
    // Wildcards.
    ask(
        "by suffix",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/alice/*.jpg"}"#,
    ),
    ask(
        "a wildcard in the middle",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/alice/*/thumbs/a.jpg"}"#,
    ),
    ask(
        "question marks",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/alice/IMG_????.jpg"}"#,
    ),
    ask(
        "fewer actions by wildcard",
        ARCHIVE,
        r#"{"Effect":"Allow","Action":"oss:GetObject*","Resource":"BUCKET/2015/*"}"#,
    ),
    ask(
        "keys of two resources",
        ARCHIVE,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":["BUCKET/2014/12/31/*","BUCKET/2015/01/01/*"]}"#,
    ),
    // Letter case.
    ask(
        "an action in lower case",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:getobject","Resource":"BUCKET/users/alice/a"}"#,
    ),
    ask(
        "a service in upper case",
        OWN,
        r#"{"Effect":"Allow","Action":"OSS:PutObject","Resource":"BUCKET/users/alice/a"}"#,
    ),
    ask(
        "an action in lower case within a wildcard",
        ARCHIVE,
        r#"{"Effect":"Allow","Action":"oss:getObject","Resource":"BUCKET/2015/a"}"#,
    ),
    ask(
        "a value in another case",
        OFFICE,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET","Condition":{"StringEqualsIgnoreCase":{"oss:Prefix":"Office/"},"NumericLessThanEquals":{"oss:MaxKeys":"100"}}}"#,
    ),
    // Conditions as sets.
    ask(
        "a smaller network",
        OFFICE,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/office/*","Condition":{"IpAddress":{"acs:SourceIp":"10.1.0.0/16"},"DateLessThan":{"acs:CurrentTime":"2027-01-01T00:00:00Z"},"Bool":{"acs:SecureTransport":"true"}}}"#,
    ),
    ask(
        "one address",
        OFFICE,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/office/*","Condition":{"IpAddress":{"acs:SourceIp":["203.0.113.7","2001:db8::7"]},"DateLessThan":{"acs:CurrentTime":"2027-01-01T00:00:00Z"},"Bool":{"acs:SecureTransport":"true"}}}"#,
    ),
    ask(
        "an earlier end",
        OFFICE,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/office/*","Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"},"DateLessThan":{"acs:CurrentTime":"2026-12-01T08:00:00+08:00"},"Bool":{"acs:SecureTransport":"true"}}}"#,
    ),
    ask(
        "an earlier end under another operator",
        OFFICE,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/office/*","Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"},"DateLessThanEquals":{"acs:CurrentTime":"2026-12-01T00:00:00Z"},"Bool":{"acs:SecureTransport":"true"}}}"#,
    ),
    ask(
        "smaller pages",
        OFFICE,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET","Condition":{"NumericLessThanEquals":{"oss:MaxKeys":"10"},"StringEqualsIgnoreCase":{"oss:Prefix":"office/"}}}"#,
    ),
    ask(
        "conditions left out",
        OFFICE,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/office/a"}"#,
    ),
    ask(
        "two halves of a network",
        OFFICE,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/office/*","Condition":{"IpAddress":{"acs:SourceIp":["10.0.0.0/9","10.128.0.0/9"]},"DateLessThan":{"acs:CurrentTime":"2026-12-01T00:00:00Z"},"Bool":{"acs:SecureTransport":"true"}}}"#,
    ),
    // NotAction, and negating operators.
    ask(
        "what an Allow of all others allows",
        ALL_BUT,
        r#"{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"BUCKET/shared/a","Condition":{"StringNotLike":{"oss:Prefix":"shared/private/*"},"NotIpAddress":{"acs:SourceIp":"10.9.0.0/16"}}}"#,
    ),
    ask(
        "a wildcard in an Allow of all others",
        ALL_BUT,
        r#"{"Effect":"Allow","Action":"oss:Get*","Resource":"BUCKET/shared/a","Condition":{"StringNotLike":{"oss:Prefix":"shared/private/*"},"NotIpAddress":{"acs:SourceIp":"10.9.0.0/16"}}}"#,
    ),
    ask(
        "a wider exception",
        ALL_BUT,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET","Condition":{"StringNotLike":{"oss:Prefix":"shared/p*"},"NotIpAddress":{"acs:SourceIp":"10.8.0.0/15"}}}"#,
    ),
    ask(
        "one more exception",
        ALL_BUT,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET","Condition":{"StringNotLike":{"oss:Prefix":["shared/private/*","shared/drafts/*"]},"NotIpAddress":{"acs:SourceIp":"10.9.0.0/16"}}}"#,
    ),
    ask(
        "what a Deny of all others leaves",
        ALBUM,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/albums/7/originals/a.raw"}"#,
    ),
    // Denials of its own.
    ask(
        "a denial of its own",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/alice/*"},{"Effect":"Deny","Action":"*","Resource":"BUCKET/users/alice/private/*"}"#,
    ),
    ask(
        "a denial beside the grant's",
        ALBUM,
        r#"{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"BUCKET/albums/7/*"},{"Effect":"Deny","Action":"oss:PutObject","Resource":"BUCKET/albums/7/originals/*"},{"Effect":"Deny","Action":"oss:GetObject","Resource":"BUCKET/albums/7/drafts/*"}"#,
    ),
    ask(
        "a denial by condition",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/alice/*"},{"Effect":"Deny","Action":"oss:*","Resource":"*","Condition":{"Bool":{"acs:SecureTransport":"false"}}}"#,
    ),
    // Characters of names.
    ask(
        "a space",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:PutObject","Resource":"BUCKET/users/alice/summer 2015.jpg"}"#,
    ),
    ask(
        "an apostrophe and an ampersand",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:PutObject","Resource":"BUCKET/users/alice/Alice's cat & dog.jpg"}"#,
    ),
    ask(
        "a number sign",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:PutObject","Resource":"BUCKET/users/alice/#1.jpg"}"#,
    ),
    ask(
        "square brackets",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:PutObject","Resource":"BUCKET/users/alice/a[1].jpg"}"#,
    ),
    ask(
        "an emoji",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/alice/😀.jpg"}"#,
    ),
    ask(
        "a percent sign",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/alice/100%.jpg"}"#,
    ),
    ask(
        "a decomposed letter",
        OWN,
        "{\"Effect\":\"Allow\",\"Action\":\"oss:GetObject\",\"Resource\":\"BUCKET/users/alice/Zoe\u{308}.jpg\"}",
    ),
    ask(
        "letters beyond ASCII",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/alice/東京/é.jpg"}"#,
    ),
    ask(
        "a folder with a space",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/alice/summer 2015/*"}"#,
    ),
    ask(
        "list a folder with a space",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET","Condition":{"StringLike":{"oss:Prefix":"users/alice/summer 2015/*"}}}"#,
    ),
];

/// What reaches beyond its grant, each close to a request that is accepted.
const BEYOND: &[Ask] = &[
    ask(
        "another user",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/bob/a"}"#,
    ),
    ask(
        "a prefix of the name",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/alice*"}"#,
    ),
    ask(
        "a resource in another case",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/Alice/a"}"#,
    ),
    ask(
        "a larger network",
        OFFICE,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/office/*","Condition":{"IpAddress":{"acs:SourceIp":["10.1.0.0/16","203.0.0.0/16"]}}}"#,
    ),
    ask(
        "the border of a network",
        OFFICE,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/office/*","Condition":{"IpAddress":{"acs:SourceIp":["10.0.0.0","203.0.0.0/16"]}}}"#,
    ),
    ask(
        "what an Allow of all others excepts",
        ALL_BUT,
        r#"{"Effect":"Allow","Action":"oss:DeleteObject","Resource":"BUCKET/shared/a"}"#,
    ),
    ask(
        "what it excepts in another case",
        ALL_BUT,
        r#"{"Effect":"Allow","Action":"oss:deleteobject","Resource":"BUCKET/shared/a"}"#,
    ),
    ask(
        "a wildcard over what it excepts",
        ALL_BUT,
        r#"{"Effect":"Allow","Action":"oss:*Object","Resource":"BUCKET/shared/a"}"#,
    ),
    ask(
        "a narrower exception",
        ALL_BUT,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET","Condition":{"StringNotLike":{"oss:Prefix":["shared/private/a*","shared/b*"]}}}"#,
    ),
    ask(
        "a folder of neither statement",
        ARCHIVE,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET","Condition":{"StringLike":{"oss:Prefix":["2014/12/*","2016/01/*"]}}}"#,
    ),
];

/// What the documentation says to write in place of what is refused.
const WRITTEN_DIFFERENTLY: &[Ask] = &[
    ask(
        "one more exception",
        ALL_BUT,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringLike":{"oss:Prefix":"shared/drafts/*"}}}"#,
    ),
    ask(
        "a folder with a space",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"BUCKET/users/alice/summer?2015/*"}"#,
    ),
    ask(
        "list a folder with a space",
        OWN,
        r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"BUCKET","Condition":{"StringLike":{"oss:Prefix":"users/alice/summer?2015/*"}}}"#,
    ),
];

fn read(statements: &str) -> Document<String> {
    Document::plain(&json(statements)).unwrap()
}

fn json(statements: &str) -> String {
    let statements = statements.replace("BUCKET", "acs:oss:*:*:sample-bucket");
    format!(r#"{{"Version":"1","Statement":[{statements}]}}"#)
}

/// What is sent to STS, or why nothing is.
fn sent(ask: &Ask) -> Result<Document<String>, String> {
    let parsed = RequestedPolicy::parse(&json(ask.statements)).map_err(|flaw| flaw.to_string())?;
    parsed.within(&read(ask.grant)).map_err(|excess| excess.to_string())
}

#[test]
fn of_48_narrower_policies_at_most_three_are_refused() {
    let mut refused = Vec::new();
    for ask in ASKS {
        let (requested, granted) = (read(ask.statements), read(ask.grant));
        let is_narrower = requested.inclusion_in(&granted) == Inclusion::Included;
        // What leaves conditions out gets the grant's.
        assert!(is_narrower || ask.name == "conditions left out", "{}", ask.name);
        match sent(ask) {
            Ok(sent) => {
                assert_eq!(sent.inclusion_in(&granted), Inclusion::Included, "{}", ask.name);
                assert_eq!(sent.inclusion_in(&requested), Inclusion::Included, "{}", ask.name);
                if is_narrower && !ask.grant.contains("Deny") {
                    assert_eq!(requested.inclusion_in(&sent), Inclusion::Included, "{}", ask.name);
                }
            }
            Err(why) => {
                println!("{}: {why}", ask.name);
                refused.push(ask.name);
            }
        }
    }
    assert_eq!(ASKS.len(), 48);
    assert_eq!(
        refused,
        ["one more exception", "a folder with a space", "list a folder with a space"]
    );
    for (refused, ask) in refused.iter().zip(WRITTEN_DIFFERENTLY) {
        assert_eq!(*refused, ask.name);
        assert!(sent(ask).is_ok(), "{}", ask.name);
    }
}

#[test]
fn what_is_close_to_a_narrower_policy_and_reaches_beyond_is_refused() {
    for ask in BEYOND {
        assert!(
            matches!(read(ask.statements).inclusion_in(&read(ask.grant)), Inclusion::Beyond(_)),
            "{}",
            ask.name
        );
        assert!(sent(ask).is_err(), "{}", ask.name);
    }
}
