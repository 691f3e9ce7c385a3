//! `[sts.identity]`: whose credentials sign the calls to STS. Exactly one source, without a fallback.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::access_key::{AccessKeySource, RawAccessKey};
use crate::config::environment::{Environment, Mode};
use crate::config::field::{Clearable, Field};
use crate::config::problems::Problems;
use crate::config::secret_reads::SecretReads;
use crate::telemetry::with_causes;
use crate::upstream::{
    CredentialsUri, EcsRamRole, MetadataEndpoint, OidcRole, RenewedIdentity, UpstreamIdentity,
    check_oidc_token,
};
use appserver_domain::{Invalid, OidcProviderArn, RamRoleName, RoleArn};

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawIdentity {
    /// `access-key` (default), `ecs-ram-role`, `oidc` or `credentials-uri`.
    source: Field<RawIdentitySource>,
    access_key: RawAccessKey,
    ecs_ram_role: RawEcsRamRole,
    oidc: RawOidc,
    credentials_uri: RawCredentialsUri,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum RawIdentitySource {
    AccessKey,
    EcsRamRole,
    Oidc,
    CredentialsUri,
}

impl RawIdentitySource {
    fn as_str(self) -> &'static str {
        match self {
            Self::AccessKey => "access-key",
            Self::EcsRamRole => "ecs-ram-role",
            Self::Oidc => "oidc",
            Self::CredentialsUri => "credentials-uri",
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
struct RawEcsRamRole {
    /// Default: the metadata server is asked.
    role: Field<Clearable<RamRoleName>>,
    /// Default `http://100.100.100.200`.
    endpoint: Field<Clearable<MetadataEndpoint>>,
    /// Default false.
    imds_v1: Field<bool>,
}

#[derive(Clone, Debug, Deserialize)]
struct RawOidc {
    /// Default: `ALIBABA_CLOUD_ROLE_ARN`.
    role_arn: Field<Clearable<RoleArn>>,
    /// Default: `ALIBABA_CLOUD_OIDC_PROVIDER_ARN`.
    provider_arn: Field<Clearable<OidcProviderArn>>,
    /// Default: `ALIBABA_CLOUD_OIDC_TOKEN_FILE`.
    token_file: Field<Clearable<PathBuf>>,
}

#[derive(Clone, Debug, Deserialize)]
struct RawCredentialsUri {
    /// Required for `credentials-uri`.
    uri: Field<Clearable<CredentialsUri>>,
}

const PATH: &str = "sts.identity";
const ROLE_VARIABLE: &str = "ALIBABA_CLOUD_ROLE_ARN";
const PROVIDER_VARIABLE: &str = "ALIBABA_CLOUD_OIDC_PROVIDER_ARN";
const TOKEN_FILE_VARIABLE: &str = "ALIBABA_CLOUD_OIDC_TOKEN_FILE";

/// The configured source, whose secrets are not read yet.
#[derive(Clone, Debug)]
pub(crate) enum IdentitySource {
    AccessKey(AccessKeySource),
    EcsRamRole(EcsRamRole),
    Oidc(OidcSource),
    CredentialsUri(CredentialsUri),
}

/// The settings of `oidc`, from the configuration or else from the variables of RRSA. Like secrets they may be missing where a
/// configuration is only looked at: another machine has the variables.
#[derive(Clone, Debug)]
pub(crate) struct OidcSource {
    pub(crate) role: Option<RoleArn>,
    pub(crate) provider: Option<OidcProviderArn>,
    pub(crate) token_file: Option<PathBuf>,
}

/// Names the source in logs, without any secret.
impl fmt::Display for IdentitySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessKey(source) => source.fmt(f),
            Self::EcsRamRole(EcsRamRole { role: Some(role), endpoint, .. }) => {
                write!(f, "ecs-ram-role ({role} at {endpoint})")
            }
            Self::EcsRamRole(EcsRamRole { role: None, endpoint, .. }) => {
                write!(f, "ecs-ram-role ({endpoint})")
            }
            Self::Oidc(OidcSource { role: Some(role), .. }) => write!(f, "oidc ({role})"),
            Self::Oidc(OidcSource { role: None, .. }) => write!(f, "oidc ({ROLE_VARIABLE})"),
            Self::CredentialsUri(uri) => write!(f, "credentials-uri ({uri})"),
        }
    }
}

impl IdentitySource {
    pub(crate) fn resolve(
        raw: RawIdentity,
        environment: &Environment,
        mode: Mode,
        problems: &mut Problems,
        secret_reads: &mut SecretReads,
    ) -> Option<Self> {
        let chosen = problems.require(raw.source);
        let is_chosen = |source| chosen.is_none_or(|chosen| chosen == source);
        let mut foreign = |source: RawIdentitySource, table: &str, set: &[&str]| {
            if is_chosen(source) {
                return;
            }
            let source = source.as_str();
            for key in set {
                problems.add(
                    format!("{PATH}.{table}.{key}"),
                    format!(
                        "it goes with the source `{source}`: set `{PATH}.source = \"{source}\"`, or remove it (\"\" takes back \
                         what an earlier layer sets)"
                    ),
                );
            }
        };
        foreign(RawIdentitySource::AccessKey, "access_key", &raw.access_key.set_keys());
        foreign(RawIdentitySource::EcsRamRole, "ecs_ram_role", &raw.ecs_ram_role.set_keys());
        foreign(RawIdentitySource::Oidc, "oidc", &raw.oidc.set_keys());
        foreign(
            RawIdentitySource::CredentialsUri,
            "credentials_uri",
            &raw.credentials_uri.set_keys(),
        );

        // Every table is read, so that invalid values of each are reported.
        let ecs_ram_role = raw.ecs_ram_role.resolve(problems);
        let oidc_is_invalid = raw.oidc.is_invalid();
        let oidc = raw.oidc.resolve(problems);
        let uri_is_invalid = raw.credentials_uri.uri.is_invalid();
        let uri = problems.take_set(raw.credentials_uri.uri);
        match chosen {
            Some(RawIdentitySource::AccessKey) | None => {
                let key = raw.access_key;
                let key = AccessKeySource::resolve(key, environment, mode, problems, secret_reads);
                // Without a valid source the files of a key are read all the same.
                chosen.and(key).map(Self::AccessKey)
            }
            Some(other) => {
                raw.access_key.note_invalid(problems);
                match other {
                    RawIdentitySource::AccessKey => None,
                    RawIdentitySource::EcsRamRole => ecs_ram_role.map(Self::EcsRamRole),
                    RawIdentitySource::Oidc => {
                        let oidc = oidc.or_variables(environment, problems)?;
                        if oidc_is_invalid {
                            return None;
                        }
                        let whole = oidc.clone();
                        secret_reads.add(move || whole.read());
                        Some(Self::Oidc(oidc))
                    }
                    RawIdentitySource::CredentialsUri => {
                        if uri.is_none() && !uri_is_invalid {
                            problems.add_absence(
                                "sts.identity.credentials_uri.uri",
                                "the source `credentials-uri` needs it",
                            );
                        }
                        uri.map(Self::CredentialsUri)
                    }
                }
            }
        }
    }

    /// The files of id and secret that an AccessKey is read from, if any.
    pub(crate) fn key_files(&self) -> Option<[&Path; 2]> {
        match self {
            Self::AccessKey(source) => source.key_files(),
            Self::EcsRamRole(_) | Self::Oidc(_) | Self::CredentialsUri(_) => None,
        }
    }

    /// Reads what the source needs from this machine: an AccessKey, or the names in RRSA's variables. An OIDC token is
    /// only checked: each renewal reads it.
    pub(crate) fn read(&self) -> Result<UpstreamIdentity, Problems> {
        let renewed = match self {
            Self::AccessKey(source) => return source.read().map(UpstreamIdentity::AccessKey),
            Self::EcsRamRole(settings) => RenewedIdentity::EcsRamRole(settings.clone()),
            Self::Oidc(source) => RenewedIdentity::Oidc(source.read()?),
            Self::CredentialsUri(uri) => RenewedIdentity::CredentialsUri(uri.clone()),
        };
        Ok(UpstreamIdentity::Renewed(renewed))
    }
}

impl RawEcsRamRole {
    fn set_keys(&self) -> Vec<&'static str> {
        let set = [
            (is_set(&self.role), "role"),
            (is_set(&self.endpoint), "endpoint"),
            (self.imds_v1.given() == Some(&true), "imds_v1"),
        ];
        set.into_iter().filter_map(|(is_set, key)| is_set.then_some(key)).collect()
    }

    fn resolve(self, problems: &mut Problems) -> Option<EcsRamRole> {
        let is_invalid =
            self.role.is_invalid() || self.endpoint.is_invalid() || self.imds_v1.is_invalid();
        let role = problems.take_set(self.role);
        let endpoint = problems.take_set(self.endpoint).unwrap_or_default();
        let imds_v1 = problems.take(self.imds_v1).unwrap_or_default();
        (!is_invalid).then_some(EcsRamRole { role, endpoint, imds_v1 })
    }
}

impl RawCredentialsUri {
    fn set_keys(&self) -> Vec<&'static str> {
        is_set(&self.uri).then_some("uri").into_iter().collect()
    }
}

impl RawOidc {
    fn set_keys(&self) -> Vec<&'static str> {
        let set = [
            (is_set(&self.role_arn), "role_arn"),
            (is_set(&self.provider_arn), "provider_arn"),
            (is_set(&self.token_file), "token_file"),
        ];
        set.into_iter().filter_map(|(is_set, key)| is_set.then_some(key)).collect()
    }

    fn is_invalid(&self) -> bool {
        self.role_arn.is_invalid() || self.provider_arn.is_invalid() || self.token_file.is_invalid()
    }

    fn resolve(self, problems: &mut Problems) -> OidcSource {
        OidcSource {
            role: problems.take_set(self.role_arn),
            provider: problems.take_set(self.provider_arn),
            token_file: problems.take_set(self.token_file),
        }
    }
}

impl OidcSource {
    /// The same with RRSA's variables for what the configuration leaves out. An invalid variable is a problem.
    fn or_variables(self, environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let role = or_variable(self.role, "role_arn", ROLE_VARIABLE, environment);
        let role = problems.gather(role);
        let provider = or_variable(self.provider, "provider_arn", PROVIDER_VARIABLE, environment);
        let provider = problems.gather(provider);
        let variable = environment.get(TOKEN_FILE_VARIABLE).filter(|path| !path.is_empty());
        let token_file = self.token_file.or_else(|| variable.map(PathBuf::from));
        Some(Self { role: role?, provider: provider?, token_file })
    }

    fn read(&self) -> Result<OidcRole, Problems> {
        let mut problems = Problems::default();
        let mut missing = |key: &str, variable: &str| {
            problems.add_absence(
                format!("{PATH}.oidc.{key}"),
                format!(
                    "the source `oidc` needs it: set it, or the variable {variable}, as RRSA does"
                ),
            );
        };
        if self.role.is_none() {
            missing("role_arn", ROLE_VARIABLE);
        }
        if self.provider.is_none() {
            missing("provider_arn", PROVIDER_VARIABLE);
        }
        if self.token_file.is_none() {
            missing("token_file", TOKEN_FILE_VARIABLE);
        }
        let Self { role, provider, token_file } = self.clone();
        if let Some(file) = &token_file
            && let Err(error) = check_oidc_token(file)
        {
            let problem = format!("{}: {}", file.display(), with_causes(&error));
            problems.add(format!("{PATH}.oidc.token_file"), problem);
        }
        let whole = role.zip(provider).zip(token_file);
        problems.into_result(whole.map(|((role, provider), token_file)| OidcRole {
            role,
            provider,
            token_file,
        }))
    }
}

fn or_variable<T: TryFrom<String, Error = Invalid>>(
    set: Option<T>,
    key: &str,
    variable: &str,
    environment: &Environment,
) -> Result<Option<T>, Problems> {
    let text = environment.get(variable).filter(|text| !text.is_empty());
    match (set, text) {
        (None, Some(text)) => T::try_from(text.clone()).map(Some).map_err(|invalid| {
            Problems::one(
                format!("{PATH}.oidc.{key}"),
                format!("the variable {variable}: {invalid}"),
            )
        }),
        (set, _) => Ok(set),
    }
}

/// Whether a layer sets the key to a value that is not empty.
pub(super) fn is_set<T>(field: &Field<Clearable<T>>) -> bool {
    matches!(field.given(), Some(Clearable(Some(_))))
}
