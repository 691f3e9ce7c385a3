//! `[grants.NAME.upload.callback]`: where OSS's reports of a grant's uploads go.

use std::collections::BTreeMap;
use std::fs::canonicalize;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use super::body_secret::BodySecretSource;
use crate::callback::{
    BackendUrl, CallbackRules, MAX_VARIABLES, ReportedDetail, VariableSource, VariableTemplate,
};
use crate::config::bounds::Secs;
use crate::config::environment::Mode;
use crate::config::field::{Clearable, Field, List};
use crate::config::layers::NamedFile;
use crate::config::problems::Problems;
use crate::config::secret_reads::SecretReads;
use appserver_domain::GrantName;

#[derive(Debug, Deserialize)]
pub(crate) struct RawCallback {
    /// Required. The URL of the backend.
    forward: Field<BackendUrl>,
    /// Required: holds the secret that signs what is forwarded. White space at its end is trimmed.
    secret_file: Field<Clearable<PathBuf>>,
    /// Default: bucket, object, etag, size and mimeType, which are always among them. What OSS reports.
    body: Field<List<ReportedDetail>>,
    /// Default none. Further values for the backend, by their names.
    vars: BTreeMap<String, Field<VariableTemplate>>,
    /// Default 3. OSS waits for 5 seconds.
    deadline_secs: Field<Secs<1, 4>>,
    /// Default true. Whether the object is looked at before its upload is forwarded.
    confirm: Field<bool>,
}

/// The callback of a grant, whose secret is not read yet.
#[derive(Clone, Debug)]
pub(crate) struct CallbackSource {
    pub(crate) rules: CallbackRules,
    secret: BodySecretSource,
}

/// The names that a grant declares for the values of requests and tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeclaredNames<'a> {
    pub(crate) parameters: &'a [&'a str],
    pub(crate) claims: &'a [&'a str],
}

/// The callbacks of all grants.
pub(crate) struct CallbackSources<'a> {
    pub(crate) mode: Mode,
    pub(crate) secret_reads: &'a mut SecretReads,
    pub(crate) valid: BTreeMap<GrantName, CallbackSource>,
    /// Whether any grant has a callback, valid or not.
    pub(crate) are_any: bool,
}

impl<'a> CallbackSources<'a> {
    pub(crate) fn none(mode: Mode, secret_reads: &'a mut SecretReads) -> Self {
        Self { mode, secret_reads, valid: BTreeMap::new(), are_any: false }
    }

    /// Adds the callback of this grant.
    pub(crate) fn add(
        &mut self,
        grant: &str,
        raw: RawCallback,
        declared: DeclaredNames<'_>,
        problems: &mut Problems,
    ) {
        self.are_any = true;
        let path = format!("grants.{grant}.upload.callback");
        let resolved = resolve(&path, raw, declared, self.mode, problems, self.secret_reads);
        self.valid.extend(grant.parse().ok().zip(resolved));
    }
}

/// The callback, or `None` if a key of it is invalid.
fn resolve(
    path: &str,
    raw: RawCallback,
    declared: DeclaredNames<'_>,
    mode: Mode,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<CallbackSource> {
    let forward = problems.require(raw.forward);
    if mode == Mode::Production && forward.as_ref().is_some_and(BackendUrl::has_port_zero) {
        problems.add(
            format!("{path}.forward"),
            "nothing listens on port 0: only `dev` puts its own backend there",
        );
    }
    let secret = BodySecretSource::resolve(
        format!("{path}.secret_file"),
        raw.secret_file,
        "the backend recognises reports",
        mode,
        problems,
        secret_reads,
    );
    let details = problems.or(raw.body, List(Vec::new())).map(|List(details)| details);
    let vars = variables(&format!("{path}.vars"), raw.vars, declared, problems);
    let deadline = problems.or(raw.deadline_secs, const { Secs::new(3) });
    let confirm = problems.or(raw.confirm, true);
    let rules = CallbackRules {
        details: details?,
        vars: vars?,
        forward: forward?,
        deadline: deadline?.into(),
        confirm: confirm?,
    };
    Some(CallbackSource { rules, secret: secret? })
}

fn variables(
    path: &str,
    raw: BTreeMap<String, Field<VariableTemplate>>,
    declared: DeclaredNames<'_>,
    problems: &mut Problems,
) -> Option<BTreeMap<crate::callback::VariableName, VariableTemplate>> {
    let count = raw.len();
    if count > MAX_VARIABLES {
        problems.add(
            path,
            format!("a callback has at most {MAX_VARIABLES} variables, and these are {count}"),
        );
    }
    let mut variables = BTreeMap::new();
    for (name, template) in raw {
        let at = format!("{path}.{name}");
        let name = problems.name(&at, &name);
        let template = problems.take(template);
        let Some((name, template)) = name.zip(template) else { continue };
        let undeclared = template.sources().find_map(|source| match source {
            VariableSource::Client | VariableSource::Issuer | VariableSource::Subject => None,
            VariableSource::Claim(claim) => (!declared.claims.contains(&claim.as_str()))
                .then(|| format!("`${{claims.{claim}}}` needs the claim in the grant's `claims`: declare it there")),
            VariableSource::Parameter(name) => (!declared.parameters.contains(&name.as_str()))
                .then(|| format!("`${{params.{name}}}` needs the parameter in the grant's `parameters`: declare it there")),
        });
        match undeclared {
            Some(problem) => problems.add_absence(at, problem),
            None => drop(variables.insert(name, template)),
        }
    }
    (variables.len() == count && count <= MAX_VARIABLES).then_some(variables)
}

/// Adds a problem for each secret of a callback or of the decision hook that is in a file of another key: its receiver has the
/// secret.
pub(crate) fn check_secret_files(named: &[NamedFile], problems: &mut Problems) {
    let is_given_away = |key: &str| {
        key == "decision.secret_file"
            || (key.starts_with("grants.") && key.ends_with(".upload.callback.secret_file"))
    };
    // A link to the other file is the other file.
    let real = |file: &NamedFile| canonicalize(&file.path).unwrap_or_else(|_| file.path.clone());
    let (own, others): (Vec<_>, Vec<_>) = named.iter().partition(|file| is_given_away(&file.key));
    for file in own {
        let path = real(file);
        if let Some(other) = others.iter().find(|other| real(other) == path) {
            problems.add(
                &file.key,
                format!(
                    "it is the file of `{}`, too, and the {} has the secret in it: name a file of its own; \
                     `openssl rand -hex 32` makes a secret",
                    other.key,
                    if file.key == "decision.secret_file" { "hook" } else { "backend" }
                ),
            );
        }
    }
}

impl CallbackSource {
    pub(crate) fn read_secret(&self) -> Result<SecretString, Problems> {
        self.secret.read()
    }
}
