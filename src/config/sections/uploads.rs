//! `[uploads]`: what callbacks of OSS need, whichever grant they are for.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::grant_callback::{CallbackSource, CallbackSources};
use crate::callback::{
    CallbackConfig, CallbackTlsError, ClaimsSeal, Confirmation, GrantCallback, KeySource,
};
use crate::config::environment::Mode;
use crate::config::field::{Clearable, Field};
use crate::config::problems::{Problem, Problems};
use crate::config::secret_file::read_secret;
use crate::grant::{Entitlement, Grants};
use crate::http::{CALLBACK_PATH, PublicUrl};
use crate::outbound::Egress;
use crate::seal::SealKey;
use crate::sts::GrantSession;
use appserver_domain::GrantName;

#[derive(Debug, Deserialize)]
pub(crate) struct RawUploads {
    /// Holds the key that encrypts what forms with a callback carry. White space at its end is trimmed.
    encryption_key_file: Field<Clearable<PathBuf>>,
    /// Holds a key that only decrypts, while keys are rotated.
    previous_encryption_key_file: Field<Clearable<PathBuf>>,
    /// Default empty: the keys that OSS publishes. The URL of the key of an emulated OSS.
    callback_key_url: Field<Clearable<KeySource>>,
}

/// The callbacks of a configuration; the files of their secrets are not read yet.
#[derive(Clone, Debug)]
pub(crate) struct UploadsSource {
    keys: SealKeys,
    /// `None` for the listener's own address, in the demo.
    base: Option<PublicUrl>,
    key_source: KeySource,
    callbacks: BTreeMap<GrantName, CallbackSource>,
}

/// Where the keys are.
#[derive(Clone, Debug)]
enum SealKeys {
    Demo,
    /// The newest first.
    Files(Vec<(&'static str, PathBuf)>),
}

/// The contents of the files.
#[derive(Debug)]
pub(crate) struct UploadSecrets {
    seal: ClaimsSeal,
    of_grants: BTreeMap<GrantName, SecretString>,
}

const KEY_FILE: &str = "uploads.encryption_key_file";
const PREVIOUS_KEY_FILE: &str = "uploads.previous_encryption_key_file";

pub(crate) fn resolve(
    raw: RawUploads,
    public_url: &Field<Clearable<PublicUrl>>,
    callbacks: CallbackSources<'_>,
    problems: &mut Problems,
) -> Option<UploadsSource> {
    let CallbackSources { mode, secret_reads, valid, are_any } = callbacks;
    let is_invalid = raw.encryption_key_file.is_invalid();
    let key_file = problems.take_set(raw.encryption_key_file).map(|path| (KEY_FILE, path));
    let previous = problems.take_set(raw.previous_encryption_key_file);
    let previous = previous.map(|path| (PREVIOUS_KEY_FILE, path));
    let key_source = problems.or(raw.callback_key_url, Clearable(None));
    let base = public_url.given().and_then(|Clearable(url)| url.clone());
    let is_production = mode == Mode::Production;
    if key_file.is_none() && !is_invalid && (previous.is_some() || are_any && is_production) {
        problems.add_absence(
            KEY_FILE,
            "forms of grants with `upload.callback` carry what only the service may read: name a file that holds a key; \
             `openssl rand -base64 32` makes one",
        );
    }
    if are_any && base.is_none() && !public_url.is_invalid() && is_production {
        problems.add_absence(
            "server.public_url",
            "OSS sends its callbacks there: set it to the URL at which OSS reaches this service, such as \
             `https://vend.example.com`",
        );
    }
    let keys = match key_file {
        None if previous.is_none() => SealKeys::Demo,
        newest => SealKeys::Files(newest.into_iter().chain(previous).collect()),
    };
    let files = keys.clone();
    secret_reads.add(move || files.read());
    let Clearable(key_source) = key_source?;
    let key_source = key_source.unwrap_or_default();
    // The rule of all public URLs alone would lead to one that this rule refuses.
    let is_reachable = base.as_ref().map_or(!public_url.is_invalid(), PublicUrl::is_public);
    if are_any && is_production && key_source == KeySource::Oss && !is_reachable {
        problems.add(
            "server.public_url",
            "OSS sends its callbacks there, and refuses `localhost`, loopback and private addresses, IPv6 and what does not \
             resolve: set it to an https URL with a public host name",
        );
    }
    Some(UploadsSource { keys, base, key_source, callbacks: valid })
}

impl UploadsSource {
    /// Whether the uploads of this grant are looked at, so that its role must allow to read them.
    pub(crate) fn confirms(&self, grant: &GrantName) -> bool {
        self.callbacks.get(grant).is_some_and(|callback| callback.rules.confirm)
    }

    /// What loads and belongs on a developer's machine alone, and a time limit that ends reports.
    pub(crate) fn warnings(&self, mode: Mode, request_timeout: Duration) -> Vec<Problem> {
        let mut warnings = Vec::new();
        let mut warn = |path: &str, message: &str| {
            warnings.push(Problem { path: path.to_owned(), message: message.to_owned() });
        };
        if mode == Mode::Demo {
            return warnings;
        }
        let shorter = |callback: &&CallbackSource| callback.rules.deadline > request_timeout;
        if let Some(callback) = self.callbacks.values().find(shorter) {
            warn(
                "server.request_timeout_ms",
                &format!(
                    "a report of an upload may take {} s (`deadline_secs`), and its request is ended before: OSS gets 503 although \
                     the backend may have the report. Make it longer",
                    callback.rules.deadline.as_secs()
                ),
            );
        }
        if self.key_source != KeySource::Oss {
            warn(
                "uploads.callback_key_url",
                "callbacks of OSS itself are refused, and whatever has this key can report uploads: remove it, unless this is \
                 a test with an emulated OSS",
            );
        }
        warnings
    }

    /// Reads the keys and the secrets of the grants; `None` where no grant has a callback.
    pub(crate) fn read(&self) -> Result<Option<UploadSecrets>, Problems> {
        let mut problems = Problems::default();
        let keys = problems.gather(self.keys.read());
        let mut of_grants = BTreeMap::new();
        for (grant, callback) in &self.callbacks {
            of_grants.extend(
                problems.gather(callback.read_secret()).map(|secret| (grant.clone(), secret)),
            );
        }
        for (grant, secret) in &of_grants {
            // It decodes as the key does: the backend must not have the key, under whatever path.
            let as_key = SealKey::from_base64(secret.expose_secret()).ok();
            if as_key.is_some_and(|key| keys.iter().flatten().any(|own| own.is_same(&key))) {
                problems.add(
                    format!("grants.{grant}.upload.callback.secret_file"),
                    "it holds a key of `[uploads]`, and the backend has the secret in it: `openssl rand -hex 32` makes another",
                );
            }
        }
        let secrets = keys.map(|keys| {
            let seal = ClaimsSeal::new(&keys);
            (!self.callbacks.is_empty()).then_some(UploadSecrets { seal, of_grants })
        });
        problems.into_result(secrets)
    }

    /// The callbacks of these grants, at a listener.
    pub(crate) fn config(
        &self,
        secrets: UploadSecrets,
        grants: &Grants,
        listener: &PublicUrl,
        egress: &Egress,
        before: Option<&CallbackConfig>,
    ) -> Result<CallbackConfig, CallbackTlsError> {
        let base = self.base.as_ref().unwrap_or(listener).to_string();
        let UploadSecrets { seal, mut of_grants } = secrets;
        let callbacks = self.callbacks.iter().filter_map(|(name, callback)| {
            let entitlement = grants.entitlements.get(name)?;
            let confirmation = confirmation(entitlement)?;
            let longest_secs = entitlement.upload.as_ref()?.lifetime.longest_secs();
            let longest_form = TimeDelta::seconds(longest_secs.into());
            let rules = callback.rules.clone();
            let secret = of_grants.remove(name)?;
            Some((name.clone(), GrantCallback { rules, secret, confirmation, longest_form }))
        });
        let callbacks: HashMap<_, _> = callbacks.collect();
        let source = self.key_source.clone();
        CallbackConfig::new(seal, &base, CALLBACK_PATH, source, callbacks, egress, before)
    }
}

/// How the objects of a grant's uploads are looked at.
fn confirmation(grant: &Entitlement) -> Option<Confirmation> {
    let oss = grant.oss.clone()?;
    let policy = grant.template.reading_policy(oss.bucket())?.ok()?;
    let duration = grant.durations.longest();
    let (role, external_id) = (grant.role.clone(), grant.external_id.clone());
    Some(Confirmation {
        upstream: grant.upstream.clone(),
        fingerprint: grant.fingerprint,
        session: GrantSession::new(role, &grant.name, policy, duration, external_id),
        oss,
    })
}

impl SealKeys {
    fn read(&self) -> Result<Vec<SealKey>, Problems> {
        let Self::Files(files) = self else { return Ok(vec![SealKey::demo()]) };
        let mut problems = Problems::default();
        let mut keys = Vec::new();
        for (key, path) in files {
            let read = read_secret(key, path).and_then(|text| {
                SealKey::from_base64(text.expose_secret())
                    .map_err(|invalid| Problems::one(*key, invalid))
            });
            keys.extend(problems.gather(read));
        }
        problems.into_result(Some(keys))
    }
}
