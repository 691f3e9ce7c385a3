//! `[grants.NAME.oss]`.

use super::*;

const OSS: &str = "[grants.album.oss]\nbucket = \"sample-bucket\"\nregion = \"cn-hangzhou\"\n";

fn settings(text: &str) -> Settings {
    loaded(&format!("{SOUND}\n{text}"), &[], Mode::Production).unwrap()
}

#[test]
fn a_bucket_has_the_public_endpoint_of_its_region_unless_it_names_another() {
    let endpoint = |more: &str| {
        let settings = settings(&format!("{OSS}{more}"));
        let oss = settings.rules.grants.entitlements[&"album".parse().unwrap()].oss.clone();
        let oss = oss.unwrap();
        (oss.endpoint().as_str().to_owned(), oss.cname())
    };
    assert_eq!(endpoint(""), ("https://oss-cn-hangzhou.aliyuncs.com".to_owned(), false));
    assert_eq!(
        endpoint("endpoint = \"https://photos.example.com/\"\ncname = true"),
        ("https://photos.example.com".to_owned(), true)
    );
}

#[test]
fn a_bucket_that_no_sdk_could_reach_is_refused_with_the_way_out() {
    let with = |lines: &str| problems(&format!("[grants.album.oss]\n{lines}"));
    let sample =
        |line: &str| with(&format!("bucket = \"sample-bucket\"\nregion = \"cn-hangzhou\"\n{line}"));
    let found = [
        with(""),
        with("bucket = \"Sample\"\nregion = \"oss-cn-hangzhou\"\ncolour = \"red\""),
        sample("cname = true"),
        sample("cname = true\nendpoint = \"https://oss-cn-hangzhou.aliyuncs.com\""),
        sample("endpoint = \"https://a@photos.example.com/b?c=d\""),
    ];
    insta::assert_snapshot!(found.join("\n\n"), @r"
grants.album.oss.bucket: is missing
grants.album.oss.region: is missing

grants.album.oss.bucket: a bucket's name is 3 to 63 characters of a-z, 0-9 and `-`, with no `-` at either end
grants.album.oss.colour: there is no such key; `appserver check --defaults` prints all keys
grants.album.oss.region: it is not the id of a region but names one: write `cn-hangzhou`

grants.album.oss.endpoint: with `cname = true` it is required: write the domain that is bound to the bucket

grants.album.oss.endpoint: with `cname = true` it is a domain that is bound to the bucket, not one of aliyuncs.com: write that domain, or set `cname = false`

grants.album.oss.endpoint: an endpoint of OSS reads `https://<host>`, with a port if need be, in lower case and without user, path, query and fragment; `http` is admitted on `localhost` and loopback addresses only
");
}

#[test]
fn a_bucket_that_the_policy_does_not_allow_and_an_unknown_region_are_warned_of() {
    let of_oss = |bucket: &str, region: &str| {
        let settings =
            settings(&OSS.replace("sample-bucket", bucket).replace("cn-hangzhou", region));
        let warnings = settings.warnings.iter().filter(|one| one.path.contains(".oss."));
        warnings.map(|one| format!("{}: {}", one.path, one.message)).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(of_oss("sample-bucket", "cn-hangzhou"), "");
    insta::assert_snapshot!(of_oss("sample-bucket-2", "cn-hangzhuo"), @r"
grants.album.oss.bucket: the policy allows nothing in `sample-bucket-2`, so OSS refuses each request there: name the policy's bucket, or allow this one
grants.album.oss.region: this version knows no region of this name; is `cn-hangzhou` meant? A newer region works if OSS has an endpoint there
");
}

/// Tokens and tickets of the grant stay valid.
#[test]
fn the_bucket_is_no_part_of_the_grants_fingerprint() {
    let fingerprint = |text: &str| {
        let settings = loaded(text, &[], Mode::Production).unwrap();
        settings.rules.grants.entitlements[&"album".parse().unwrap()].fingerprint
    };
    let shorter = SOUND.replace("[grants.album]\n", "[grants.album]\nmax_duration_secs = 1800\n");
    let shorter = shorter.replace("1800\n", "1800\ndefault_duration_secs = 1800\n");
    assert_eq!(fingerprint(SOUND), fingerprint(&format!("{SOUND}{OSS}")));
    assert_ne!(fingerprint(SOUND), fingerprint(&shorter));
}
