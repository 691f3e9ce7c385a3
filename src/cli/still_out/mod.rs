//! `appserver revoke … --audit`: what a revoked caller still has, and how its sessions are shut out of OSS.

mod args;
mod plan;
mod report;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::administrator_key::administrator_key;
use super::audit::outstanding::{AuditedCaller, Outstanding, is_no_audit_file};
use super::failure::{EXIT_CONFIG, EXIT_DRIFT, EXIT_NOT_EXAMINED, Failure};
use super::output::{note, say};
use super::runtime::block_on;
use crate::bucket_policy::{BucketPolicyClient, PolicyEdit};
use crate::config::{Settings, environment};
use crate::telemetry::with_causes;
use appserver_domain::clock::Clock;

pub(super) use args::StillOutArgs;
use plan::{BucketPlan, Plan};

const PERMISSIONS: &str = "it needs oss:GetBucketPolicy and oss:PutBucketPolicy on the buckets, and oss:DeleteBucketPolicy to take \
                           back the last statement";

/// Fails if a file cannot be read, or if none is an audit file, before anything is changed. Standard input is read later.
pub(super) fn check_audit_files(files: &[PathBuf]) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| *file != Path::new("-")) {
        let file_name = file.display();
        match is_no_audit_file(file) {
            Ok(false) => {}
            Ok(true) => wrong.push(format!("--audit {file_name}: this is not an audit file")),
            Err(error) => {
                // An error while reading has the file's name already.
                let error = error.to_string();
                let error = error.strip_prefix(&format!("{file_name}: ")).unwrap_or(&error);
                let message = format!("nothing was changed: --audit {file_name}: {error}");
                return Err(Failure::new(EXIT_CONFIG, message));
            }
        }
    }
    if wrong.is_empty() || wrong.len() < files.len() {
        return Ok(());
    }
    Err(Failure::new(EXIT_CONFIG, format!("nothing was changed: {}", wrong.join("; "))))
}

/// Prints what the holder has, and edits the bucket policies if `--apply` says so.
///
/// `undo` lets in again every session of the holder that the audit has, also those whose tokens have expired.
pub(super) fn still_out(
    args: &StillOutArgs,
    settings: &Settings,
    holder: AuditedCaller,
    undo: bool,
    clock: &Clock,
) -> Result<(), Failure> {
    let now = clock.now();
    let after = if undo { DateTime::<Utc>::MIN_UTC } else { now };
    let found = Outstanding::of(holder, settings.audit_names.read()?, after).read(&args.audit);
    let found = found.map_err(|error| Failure::new(EXIT_CONFIG, error))?;
    if found.is_unread(&args.audit) {
        return Err(Failure::new(EXIT_CONFIG, found.wrong.join("\n")));
    }
    found.wrong.iter().for_each(note);
    if !undo {
        report::print(&found, now)?;
    }
    report::warn_of_unmatched(&found);
    let plan = Plan::of(args, settings, &found, args.whole_grant)?;
    let (mut unnamed, mut left_out) = (plan.unnamed(), Vec::new());
    if undo && args.apply {
        // What an earlier --whole-grant denied shuts the caller out, too.
        let whole = Plan::of(args, settings, &found, true)?;
        unnamed = whole.unnamed();
        left_out = whole.without(&plan);
    }
    let edit = if undo { PolicyEdit::Restore } else { PolicyEdit::Deny };
    report::print_plan(&plan, edit, args.apply)?;
    let is_examined = !plan.buckets.is_empty() || !left_out.is_empty();
    let unexamined = report::unexamined(&found, edit);
    match (args.apply, is_examined) {
        (true, true) => {}
        (true, false) => return Err(Failure::new(EXIT_NOT_EXAMINED, unexamined)),
        (false, false) if undo => {
            note(format_args!("warning: {unexamined}"));
            return Ok(());
        }
        (false, _) => return Ok(()),
    }
    let key = administrator_key(&environment(), PERMISSIONS)?;
    let egress = settings.egress.read()?.sts;
    let verifies_tls =
        plan.buckets.iter().chain(&left_out).any(|one| one.bucket.url().starts_with("https:"));
    let client = BucketPolicyClient::new(key, egress, clock.clone(), verifies_tls);
    let client = client.map_err(|error| Failure::new(EXIT_NOT_EXAMINED, with_causes(&error)))?;
    let unknown = report::unknown(&found, unnamed, edit);
    block_on(async {
        apply(&client, &plan.buckets, edit).await?;
        check_done(&client, &left_out, unknown).await
    })
}

/// Fails if sessions that were left alone are still denied access, or if there may be sessions that nobody can name.
async fn check_done(
    client: &BucketPolicyClient,
    left_out: &[BucketPlan],
    unknown: Option<String>,
) -> Result<(), Failure> {
    let mut exit = if unknown.is_some() { EXIT_NOT_EXAMINED } else { EXIT_DRIFT };
    let mut found = Vec::from_iter(unknown);
    for BucketPlan { bucket, owner, sessions } in left_out {
        let name = bucket.bucket();
        match client.denied(bucket, owner, sessions).await {
            Ok(denied) if denied.is_empty() => {}
            Ok(denied) => {
                let sessions: Vec<_> = denied.iter().map(|one| one.name.as_str()).collect();
                found.push(format!(
                    "bucket {name}: still denied access, for all callers that use them: the sessions {}. Add --whole-grant to let \
                     them in again, too",
                    sessions.join(", ")
                ));
            }
            Err(error) => {
                exit = EXIT_NOT_EXAMINED;
                found.push(format!("bucket {name}: {}", with_causes(&error)));
            }
        }
    }
    if found.is_empty() { Ok(()) } else { Err(Failure::new(exit, found.join("\n"))) }
}

/// Edits the policies of all buckets; one that fails does not keep the others from it.
async fn apply(
    client: &BucketPolicyClient,
    buckets: &[BucketPlan],
    edit: PolicyEdit,
) -> Result<(), Failure> {
    let mut failed = Vec::new();
    for BucketPlan { bucket, owner, sessions } in buckets {
        let name = bucket.bucket();
        match client.edit(bucket, owner, edit, sessions).await {
            Ok(change) => say(report::done(name, edit, sessions.len(), change))?,
            Err(error) => failed.push(format!("bucket {name}: {}", with_causes(&error))),
        }
    }
    if edit == PolicyEdit::Deny && failed.len() < buckets.len() {
        say(
            "Tokens that these sessions get later are denied, too, until --undo --apply takes the statement back.",
        )?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(EXIT_NOT_EXAMINED, failed.join("\n")))
}
