//! What is printed about tokens, forms and URLs that are still valid.

use chrono::{DateTime, TimeDelta, Utc};

use super::plan::{BucketPlan, Plan, WhyLeftOut};
use crate::bucket_policy::{MAX_POLICY_BYTES, PolicyChange, PolicyEdit, deny_statement};
use crate::cli::audit::outstanding::{HeldSignatures, Outstanding};
use crate::cli::failure::Failure;
use crate::cli::output::{note, note_line, say};
use crate::telemetry::escaped;
use appserver_domain::Bucket;
use appserver_domain::clock::Stamp;

/// The longest life of a token: the most that RAM lets a role have.
const LONGEST_LIFE: TimeDelta = TimeDelta::hours(12);

/// Prints what is still valid, and how far the audit files reach.
pub(super) fn print(found: &Outstanding, now: DateTime<Utc>) -> Result<(), Failure> {
    match found.seen {
        None => say("The audit files have no line.")?,
        Some((first, last)) => {
            let [first, last] = [first, last].map(Stamp::of);
            let instances: Vec<_> =
                found.instances.iter().map(|one| format!("`{}`", escaped(one))).collect();
            let of = match instances.as_slice() {
                [] => "of replicas without `audit.instance`".to_owned(),
                names => format!("of the replicas {}", names.join(", ")),
            };
            say(format_args!(
                "Still valid, by the audit from {} to {} {of}:",
                first.as_str(),
                last.as_str()
            ))?;
        }
    }
    if found.tokens.is_empty() && found.signatures.is_empty() {
        say(if found.unmatched == 0 {
            "  nothing"
        } else {
            "  nothing that this configuration can match"
        })?;
    }
    for (session, held) in &found.tokens {
        say(format_args!(
            "  {} until {}  session {} of {}",
            counted(held.count() as u64, "token"),
            Stamp::of(held.until()).as_str(),
            escaped(&session.name),
            escaped(&session.role)
        ))?;
    }
    for (session, HeldSignatures { forms, urls, until, .. }) in &found.signatures {
        let what: Vec<_> = [(*forms, "form"), (*urls, "URL")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, noun)| counted(count, noun))
            .collect();
        say(format_args!(
            "  {} until {}  signed by the session {} of {}",
            what.join(" and "),
            Stamp::of(*until).as_str(),
            escaped(&session.name),
            escaped(&session.role)
        ))?;
    }
    if let Some((first, _)) = found.seen
        && first > now - LONGEST_LIFE
    {
        note(format_args!(
            "warning: a token lives for up to 12 hours, and these files begin at {}: earlier ones are not counted; give the \
             rotated files, too",
            Stamp::of(first).as_str()
        ));
    }
    Ok(())
}

/// Warns of lines that may be the user's, and cannot be matched.
pub(super) fn warn_of_unmatched(found: &Outstanding) {
    if found.unmatched > 0 {
        note(format_args!(
            "warning: {} with hashed subjects cannot be matched, because this configuration has no \
             `audit.subject_key_file`: name the replicas' file with --config, or set `audit.hash_subjects` and the key here",
            counted(found.unmatched, "line")
        ));
    }
}

/// Prints what is done to which bucket.
pub(super) fn print_plan(plan: &Plan, edit: PolicyEdit, applies: bool) -> Result<(), Failure> {
    if !plan.buckets.is_empty() && edit == PolicyEdit::Deny {
        say(
            "\nAlibaba Cloud ends no token, form or URL before its time. This statement in the policy of a bucket denies its \
             sessions everything there:",
        )?;
    }
    if edit == PolicyEdit::Deny {
        for BucketPlan { bucket, owner, sessions } in &plan.buckets {
            let name = bucket.bucket();
            say(format_args!("bucket {name}\n{}", deny_statement(name, owner, sessions)))?;
        }
    }
    if !applies && !plan.buckets.is_empty() {
        say(match edit {
            PolicyEdit::Deny => "Nothing is changed without --apply.",
            PolicyEdit::Restore => "The bucket policies are not changed without --apply.",
        })?;
    }
    for (session, why) in &plan.left_out {
        let name = escaped(&session.name);
        let accepted = if *why == WhyLeftOut::Hashed { "" } else { "without --whole-grant " };
        note_line(format_args!("warning: {accepted}the session {name} is left alone: {why}"));
    }
    for grant in &plan.without_bucket {
        note(format_args!(
            "warning: `[grants.{grant}.oss]` names no bucket: name those of the grant's policy with --bucket"
        ));
    }
    Ok(())
}

/// Why no bucket's policy is looked at, and the way out.
pub(super) fn unexamined(found: &Outstanding, edit: PolicyEdit) -> String {
    let why = match edit {
        _ if !found.is_empty() => {
            return "no bucket policy is read or changed: the warnings say why each session is left alone, or what its bucket \
                    lacks"
                .to_owned();
        }
        PolicyEdit::Deny => "have nothing of the caller that is still valid",
        PolicyEdit::Restore => "name no session of the caller",
    };
    format!(
        "no bucket policy is read or changed: the audit files {why}. Give those of all replicas and the rotated ones, and, if \
         they have hashed subjects, the key of the replicas (`audit.subject_key_file`)"
    )
}

/// What is not known although the policies of buckets were read, and the way out; `None` if all sessions have names.
pub(super) fn unknown(found: &Outstanding, unnamed: usize, edit: PolicyEdit) -> Option<String> {
    let sessions = (unnamed > 0).then(|| {
        format!(
            "the audit files have {} of the caller as hashes alone",
            counted(unnamed as u64, "session")
        )
    });
    let lines = (found.unmatched > 0).then(|| {
        format!("{} with hashed subjects may be the caller's", counted(found.unmatched, "line"))
    });
    let why: Vec<_> = sessions.into_iter().chain(lines).collect();
    if why.is_empty() {
        return None;
    }
    let (why, fate) = (
        why.join(", and "),
        match edit {
            PolicyEdit::Deny => "these sessions are not denied access",
            PolicyEdit::Restore => {
                "whether a bucket still denies these sessions is not known: look at the policies of the buckets"
            }
        },
    );
    Some(format!(
        "{why}: {fate}. ActionTrail and OSS's logs have the names of sessions, by the AccessKeyIds of their tokens"
    ))
}

/// What was done to a bucket's policy.
pub(super) fn done(
    bucket: &Bucket,
    edit: PolicyEdit,
    sessions: usize,
    change: PolicyChange,
) -> String {
    let (changed, others) = (change.sessions, sessions.saturating_sub(change.sessions));
    let [changed_text, others_text] = [changed, others].map(|one| counted(one as u64, "session"));
    let (done, before) = match edit {
        PolicyEdit::Deny => ("denied access", "had been denied access before"),
        PolicyEdit::Restore => ("no longer denied access", "had not been denied access"),
    };
    let done = match (changed, others) {
        (_, 0) => format!("{changed_text} {done}"),
        (0, _) => format!("{others_text} {before}, and nothing was changed"),
        _ => format!("{changed_text} {done}, and {others_text} {before}"),
    };
    let bytes = match change.bytes {
        0 => "it has no policy now".to_owned(),
        bytes => format!("its policy has {bytes} of {MAX_POLICY_BYTES} bytes"),
    };
    format!("bucket {bucket}: {done}; {bytes}")
}

fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
