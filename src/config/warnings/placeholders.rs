//! Values that are taken from an example or mistyped, and that no rule refuses.

use serde_json::Value;

use crate::config::problems::Problem;
use crate::grant::Entitlement;
use crate::sts::KNOWN_REGIONS;

/// The account and the host of `config/production.example.toml`.
const ACCOUNT: &str = "acs:ram::11223344:";
const HOST: &str = "//vend.example.com";
/// The bucket of the policies in `config/policies`.
const BUCKET: &str = "sample-bucket";

/// What is left of the example. The account is also the emulator's, where it is no mistake.
pub(in crate::config) fn placeholders(json: &Value, calls_the_real_sts: bool) -> Vec<Problem> {
    let mut found = Vec::new();
    let roles = json.get("roles").and_then(Value::as_object).into_iter().flatten();
    let of_example = roles.filter(|(_, role)| {
        let arn = role.get("arn").and_then(Value::as_str);
        calls_the_real_sts && arn.is_some_and(|arn| arn.starts_with(ACCOUNT))
    });
    found.extend(of_example.map(|(name, _)| Problem {
        path: format!("roles.{name}.arn"),
        message: "11223344 is the account of the example: put the number of yours there".to_owned(),
    }));
    let url = json.pointer("/server/public_url").and_then(Value::as_str);
    if url.is_some_and(|url| url.contains(HOST)) {
        found.push(Problem {
            path: "server.public_url".to_owned(),
            message: "vend.example.com is the host of the example: put the URL there at which apps reach this service; URLs \
                      of tickets begin with it"
                .to_owned(),
        });
    }
    found
}

/// Grants that name the example's bucket. It is the emulator's, too, where it is no mistake.
pub(in crate::config) fn example_buckets<'a>(
    grants: impl Iterator<Item = &'a Entitlement>,
    calls_the_real_sts: bool,
) -> Vec<Problem> {
    let names_it = |grant: &&Entitlement| {
        let policy = grant.template.policy_template();
        policy.contains(&format!(":{BUCKET}/")) || policy.contains(&format!(":{BUCKET}\""))
    };
    let found = grants.filter(|_| calls_the_real_sts).filter(names_it);
    let mut found: Vec<_> = found
        .map(|grant| Problem {
            path: format!("grants.{}.policy", grant.name),
            message: "sample-bucket is the bucket of the example: put the name of yours there"
                .to_owned(),
        })
        .collect();
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Regions that are none of Alibaba Cloud's known ones: their endpoints may not exist.
pub(in crate::config) fn unknown_regions(json: &Value) -> Vec<Problem> {
    let upstreams = json.pointer("/sts/upstreams").and_then(Value::as_object).into_iter().flatten();
    let upstreams =
        upstreams.map(|(name, upstream)| (format!("sts.upstreams.{name}.region"), upstream));
    let of_sts = json.get("sts").map(|sts| ("sts.region".to_owned(), sts));
    let of_sts = of_sts.into_iter().chain(upstreams).filter_map(|(path, upstream)| {
        unknown_region(path, upstream, "if `appserver doctor` reaches its endpoint")
    });
    let grants = json.get("grants").and_then(Value::as_object).into_iter().flatten();
    let of_grants = grants.filter_map(|(name, grant)| {
        let path = format!("grants.{name}.oss.region");
        unknown_region(path, grant.get("oss")?, "if OSS has an endpoint there")
    });
    of_sts.chain(of_grants).collect()
}

fn unknown_region(path: String, table: &Value, works: &str) -> Option<Problem> {
    let region = table.get("region").and_then(Value::as_str)?;
    if region.is_empty() || KNOWN_REGIONS.contains(&region) {
        return None;
    }
    let distance = |known: &'static str| (strsim::osa_distance(region, known), known);
    let nearest = KNOWN_REGIONS.iter().map(|known| distance(known)).min();
    let meant = match nearest {
        Some((..=3, known)) => format!("is `{known}` meant? "),
        Some(_) | None => String::new(),
    };
    Some(Problem {
        path,
        message: format!(
            "this version knows no region of this name; {meant}A newer region works {works}"
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(found: impl IntoIterator<Item = Problem>) -> String {
        let line = |Problem { path, message }| format!("{path}: {message}");
        found.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_left_of_the_example_is_named() {
        let json = json!({
            "server": {"public_url": "https://vend.example.com"},
            "roles": {"own": {"arn": "acs:ram::112233445:role/a"}, "left": {"arn": "acs:ram::11223344:role/a"}},
        });
        insta::assert_snapshot!(lines(placeholders(&json, true)), @r"
roles.left.arn: 11223344 is the account of the example: put the number of yours there
server.public_url: vend.example.com is the host of the example: put the URL there at which apps reach this service; URLs of tickets begin with it
");
        // The emulator's account is this one.
        assert_eq!(placeholders(&json, false).len(), 1);
        assert_eq!(
            placeholders(&json!({"server": {"public_url": "https://vend.example.net"}}), true),
            []
        );
    }

    #[test]
    fn an_unknown_region_is_warned_of_with_the_nearest_one() {
        let found = |region: &str| lines(unknown_regions(&json!({"sts": {"region": region}})));
        assert!(
            found("cn-hangzhuo").contains("is `cn-hangzhou` meant?"),
            "{}",
            found("cn-hangzhuo")
        );
        assert!(found("mars-north-1").starts_with("sts.region: this version knows no region"));
        let upstream =
            json!({"sts": {"region": "", "upstreams": {"eu": {"region": "eu-cental-1"}}}});
        let found_there = lines(unknown_regions(&upstream));
        assert!(found_there.starts_with("sts.upstreams.eu.region: "), "{found_there}");
        assert!(found_there.contains("is `eu-central-1` meant?"), "{found_there}");
        for known in ["", "cn-hangzhou", "ap-southeast-1"] {
            assert_eq!(found(known), "");
        }
        let of_grant = json!({"grants": {"album": {"oss": {"region": "cn-hangzhuo"}}}});
        assert_eq!(
            lines(unknown_regions(&of_grant)),
            "grants.album.oss.region: this version knows no region of this name; is `cn-hangzhou` meant? A newer region works \
             if OSS has an endpoint there"
        );
    }
}
