//! The rules for placeholders in the paths of a policy, so that no value reaches another's objects.
//!
//! Each value fills its own segments, at a place that no other value moves. The paths of any two values differ there,
//! and a prefix closed by `/` keeps `user1` out of `user10`. All of it is proven when the configuration loads; a
//! request only checks its values.
//!
//! A bucket depends on no value: the rules for paths would not separate it from its neighbours. Where callers use
//! several buckets, each needs its own grant.

use appserver_domain::Bucket;

use crate::document::grammar;
use crate::document::value::ValueFlaw;
use crate::document::value::ValuePlace;
use crate::matching::pattern::Pattern;
use crate::template::placeholder::Placeholder;
use crate::template::text::Text;

/// The rules that the text breaks at its place.
pub(crate) fn flaws(place: ValuePlace<'_>, text: &Text) -> Vec<ValueFlaw> {
    let outline = text.outline();
    let mut flaws = match place {
        ValuePlace::Resource => match Resource::parse(&outline) {
            Some(resource) => {
                // A bucket depends on no value, so there is no place to the left of its wildcard.
                let in_bucket = resource.container().contains('*');
                let for_bucket = |flaw| match flaw {
                    ValueFlaw::WildcardBefore if in_bucket => ValueFlaw::WildcardInBucket,
                    other => other,
                };
                let in_path = in_path(resource.path).into_iter().map(for_bucket);
                resource.flaw().into_iter().chain(in_path).collect()
            }
            None if grammar::is_resource(&outline) => vec![],
            None => vec![ValueFlaw::NotAnArn],
        },
        ValuePlace::Condition { operator, key } => {
            let mut flaws = in_path(&outline);
            let last = outline.rsplit('/').next().unwrap_or_default();
            if key.eq_ignore_ascii_case("oss:Prefix") && last.contains('$') {
                flaws.push(ValueFlaw::OpenPrefix);
            }
            if let (Some(operator), Some(value)) = (operator, text.at_some_moment()) {
                flaws.extend(grammar::kind_flaw(operator, &value));
            }
            flaws
        }
    };
    flaws.extend(varying_before_others(text.placeholders()));
    flaws
}

/// The placeholders whose values may differ in their number of segments, and so move another one that follows.
pub(crate) fn varying_before_others<'a>(
    placeholders: impl Iterator<Item = &'a Placeholder>,
) -> Vec<ValueFlaw> {
    let placeholders: Vec<_> = placeholders.collect();
    let before = placeholders.split_last().map_or(&[][..], |(_, before)| before);
    let varying = before.iter().filter(|placeholder| placeholder.varies_in_depth);
    varying.map(|varying| ValueFlaw::VaryingDepth(varying.to_string())).collect()
}

/// Whether a resource's outline covers buckets that are not named: its service or its bucket is not literal. Its ARN
/// was checked before.
pub(crate) fn leaves_bucket_open(outline: &str) -> bool {
    Resource::parse(outline).is_none_or(|resource| {
        [resource.service, resource.container()].iter().any(|field| field.contains(['*', '?']))
    })
}

fn in_path(outline: &str) -> Vec<ValueFlaw> {
    let mut flaws = Vec::new();
    for segment in outline.split('/') {
        if segment.matches('$').count() > 1 {
            flaws.push(ValueFlaw::SharedSegment);
        }
        if segment.contains('$') && segment.contains(['*', '?']) {
            flaws.push(ValueFlaw::WildcardBeside);
        }
    }
    // A `*` in the same segment is reported above.
    let before = outline.rfind('$').map_or("", |at| &outline[..at]);
    let before = before.rfind('/').map_or("", |at| &before[..at]);
    if before.contains('*') {
        flaws.push(ValueFlaw::WildcardBefore);
    }
    flaws
}

/// `acs:<service>:<region>:<account>:<path>`.
///
/// Each wildcard matches inside its own field, which is the only sensible reading of region and account in
/// `acs:oss:*:*:bucket`.
struct Resource<'a> {
    service: &'a str,
    path: &'a str,
}

impl<'a> Resource<'a> {
    fn parse(outline: &'a str) -> Option<Self> {
        let fields: Vec<_> = outline.splitn(5, ':').collect();
        match fields[..] {
            ["acs", service, _, _, path] if grammar::is_resource(outline) => {
                Some(Self { service, path })
            }
            _ => None,
        }
    }

    /// The bucket, for OSS.
    fn container(&self) -> &'a str {
        self.path.split('/').next().unwrap_or_default()
    }

    fn flaw(&self) -> Option<ValueFlaw> {
        let bucket = self.container();
        if bucket.contains('$') {
            Some(ValueFlaw::PlaceholderInBucket)
        } else if Pattern(&self.service.to_ascii_lowercase()).matches("oss")
            && !bucket.contains(['*', '?'])
        {
            bucket.parse::<Bucket>().err().map(ValueFlaw::Bucket)
        } else {
            None
        }
    }
}
