//! `config/emulator.toml`, read and checked.

mod files;
mod problem;
mod raw;
mod world_builder;

use std::path::Path;

use crate::metadata::Instance;
use crate::oss::{BucketSettings, CallbackSettings};
use crate::ram::{IssuerKeys, Ram, TokenKey};
use crate::sts::is_role_arn;
use files::read_text;
use problem::Problems;
pub use problem::{EmulatorProblem, Field, FieldProblem};
use raw::RawSettings;
use world_builder::WorldBuilder;

/// Accounts with their users, roles, OIDC providers and buckets, the keys of issuers, and the key that encrypts security tokens.
#[derive(Debug)]
pub struct EmulatorSettings {
    pub(crate) ram: Ram,
    pub(crate) token_key: TokenKey,
    pub(crate) issuer_keys: IssuerKeys,
    pub(crate) instance: Instance,
    pub(crate) callbacks: CallbackSettings,
    /// The buckets of the emulated OSS.
    pub buckets: Vec<BucketSettings>,
}

impl EmulatorSettings {
    /// Reads a configuration's text; paths of policy files are relative to the current directory.
    pub fn from_toml(text: &str) -> Result<Self, EmulatorProblem> {
        Self::from_toml_in(text, Path::new(""))
    }

    /// Reads a configuration file; paths of policy files are relative to its folder.
    pub fn from_file(path: &Path) -> Result<Self, EmulatorProblem> {
        let text = read_text(path)
            .map_err(|source| EmulatorProblem::Unreadable { path: path.to_owned(), source })?;
        Self::from_toml_in(&text, path.parent().unwrap_or(Path::new("")))
    }

    fn from_toml_in(text: &str, folder: &Path) -> Result<Self, EmulatorProblem> {
        if is_of_appserver(text) {
            return Err(EmulatorProblem::OfAppServer);
        }
        let mut problems = Problems::default();
        let raw: RawSettings = toml::Deserializer::parse(text)
            .and_then(|deserializer| {
                serde_ignored::deserialize(deserializer, |path| {
                    problems.add(&path.to_string(), FieldProblem::Unknown);
                })
            })
            .map_err(|error| EmulatorProblem::shape(text, error))?;

        let token_key = TokenKey::from_hex(&raw.token_key);
        if token_key.is_none() {
            problems.add("token_key", FieldProblem::TokenKey);
        }
        if raw.metadata.role_arn.as_deref().is_some_and(|arn| !is_role_arn(arn)) {
            problems.add("metadata.role_arn", FieldProblem::RoleArn);
        }
        let mut builder =
            WorldBuilder { folder, problems, ram: Ram::default(), buckets: Vec::new() };
        let issuer_keys = builder.issuer_keys(raw.issuer_keys);
        for (index, account) in raw.accounts.into_iter().enumerate() {
            builder.add_account(&format!("accounts.{index}"), account);
        }
        let WorldBuilder { problems, ram, buckets, .. } = builder;
        match (token_key, problems.into_result()) {
            (Some(token_key), Ok(())) => {
                let (instance, callbacks) = (raw.metadata, raw.callbacks);
                Ok(Self { ram, token_key, issuer_keys, instance, callbacks, buckets })
            }
            (_, Err(problem)) => Err(problem),
            (None, Ok(())) => unreachable!("a missing key is among the problems"),
        }
    }

    /// Opens the tokens that this emulator's STS issues.
    pub fn token_key(&self) -> &TokenKey {
        &self.token_key
    }
}

/// Whether the text has tables of AppServer's own configuration and none of the emulator's.
fn is_of_appserver(text: &str) -> bool {
    let Ok(table) = text.parse::<toml::Table>() else { return false };
    let has = |names: &[&str]| names.iter().any(|name| table.contains_key(*name));
    has(&["server", "sts", "roles", "grants", "clients"]) && !has(&["token_key", "accounts"])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUST: &str = r#"{ json = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::1:root"]}}]}' }"#;

    fn problems(text: &str) -> String {
        EmulatorSettings::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn a_configuration_of_appserver_is_told_from_the_emulators() {
        for name in ["dev.toml", "production.example.toml", "default.toml"] {
            let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config"));
            let problem = EmulatorSettings::from_file(&folder.join(name)).unwrap_err().to_string();
            assert!(problem.contains("it is a configuration of AppServer"), "{name}: {problem}");
        }
    }

    #[test]
    fn the_shipped_configuration_is_valid() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/emulator.toml"));
        let settings = EmulatorSettings::from_file(path).unwrap();
        let keys: Vec<_> = settings.ram.keys.keys().map(String::as_str).collect();
        assert_eq!(keys, ["adminid", "disabledid", "internid", "nextid", "rootid", "testid"]);
    }

    #[test]
    fn the_shipped_empty_account_has_an_administrator_and_the_same_buckets_and_nothing_else() {
        let read = |name: &str| {
            let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config"));
            EmulatorSettings::from_file(&folder.join(name)).unwrap()
        };
        let (empty, demo) = (read("emulator.empty.toml"), read("emulator.toml"));
        let keys: Vec<_> = empty.ram.keys.keys().map(String::as_str).collect();
        let users: Vec<_> = empty.ram.users.keys().map(String::as_str).collect();
        assert_eq!(
            (keys, users),
            (vec!["adminid", "rootid"], vec!["acs:ram::11223344:user/admin"])
        );
        let others = (&empty.ram.roles, &empty.ram.policies, &empty.ram.oidc_providers);
        assert!(others.0.is_empty() && others.1.is_empty() && others.2.is_empty());
        assert_eq!(format!("{:?}", empty.buckets), format!("{:?}", demo.buckets));
    }

    #[test]
    fn a_policy_file_may_begin_with_a_byte_order_mark() {
        let folder = tempfile::tempdir().unwrap();
        let policy = "\u{feff}{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}";
        std::fs::write(folder.path().join("wide.json"), policy).unwrap();
        let settings = folder.path().join("emulator.toml");
        let text = format!(
            "token_key = \"{}\"\n[[accounts]]\nid = \"1\"\npolicies.wide = {{ file = \"wide.json\" }}\n",
            "0".repeat(64)
        );
        std::fs::write(&settings, text).unwrap();
        EmulatorSettings::from_file(&settings).unwrap();
    }

    #[test]
    fn every_problem_is_named_with_its_path() {
        let text = format!(
            r#"
token_key = "short"
colour = "blue"
[[accounts]]
id = "1"
root_keys = [{{ id = "k", secret = "canary" }}]
policies.wide = {{ json = '{{"Version":"2","Statement":[]}}' }}
policies.both = {{ json = "", file = "x.json" }}
policies.gone = {{ file = "does/not/exist.json" }}
[[accounts.users]]
name = "a b"
id = "u"
colour = "red"
keys = [{{ id = "k", secret = "canary" }}]
policies = ["Aliyun"]
[[accounts.roles]]
name = "r"
id = "r"
max_session_duration_secs = 60
trust = {TRUST}
[[accounts.buckets]]
name = "photos"
region = "oss-cn-hangzhou"
acl = "private"
domains = ["Photos.example.test", "a.aliyuncs.com", "127.0.0.1", "photos", "photos.example.test"]
objects = ["a", "/b", ""]
[[accounts.buckets]]
name = "photos"
region = "cn-hangzhou"
acl = "private"
domains = ["photos.example.test"]
[[accounts.oidc_providers]]
name = "c"
issuer = "http://login.example.com"
client_ids = []
[[accounts.oidc_providers]]
name = "c"
issuer = "https://login.example.com"
client_ids = ["x"]
[metadata]
role_arn = "appserver-instance"
[issuer_keys]
"https://login.example.com" = {{ json = '{{}}' }}
"#
        );
        let expected = "\
`accounts.0.users.0.colour`: there is no such key
`colour`: there is no such key
`token_key`: 64 hexadecimal digits are needed
`metadata.role_arn`: the ARN of a role is needed, such as `acs:ram::11223344:role/appserver-instance`
`issuer_keys.https://login.example.com.json`: a JSON Web Key Set is needed, as the issuer publishes it: missing field `keys` at line 1 column 2
`accounts.0.policies.both`: either `json` or `file` is needed
`accounts.0.policies.gone.file`: the file cannot be read: No such file or directory (os error 2)
`accounts.0.policies.wide.json`: `Version` is \"1\"
`accounts.0.users.0.name`: 1 to 64 characters of A-Z, a-z, 0-9, `.`, `_` and `-` are needed
`accounts.0.users.0.policies.0`: there is no system policy and no policy of the account with this name
`accounts.0.users.0.keys.0.id`: it is defined twice
`accounts.0.roles.0.max_session_duration_secs`: 3600 to 43200 seconds are needed
`accounts.0.oidc_providers.0.issuer`: an issuer's URL is needed, such as `https://login.example.com`, exactly as in `iss` of its tokens
`accounts.0.oidc_providers.0.client_ids`: at least one client id is needed, such as `sts.aliyuncs.com`
`accounts.0.oidc_providers.1.name`: it is defined twice
`accounts.0.buckets.0.region`: a region's name is needed, such as `cn-hangzhou`, without `oss-`
`accounts.0.buckets.0.objects.1`: 1 to 1023 bytes are needed, the first of them no `/` or `\\`
`accounts.0.buckets.0.objects.2`: 1 to 1023 bytes are needed, the first of them no `/` or `\\`
`accounts.0.buckets.0.domains.0`: a host in lower case is needed, without a port and not of aliyuncs.com, such as `photos.example.test`
`accounts.0.buckets.0.domains.1`: a host in lower case is needed, without a port and not of aliyuncs.com, such as `photos.example.test`
`accounts.0.buckets.0.domains.2`: a host in lower case is needed, without a port and not of aliyuncs.com, such as `photos.example.test`
`accounts.0.buckets.0.domains.3`: a host in lower case is needed, without a port and not of aliyuncs.com, such as `photos.example.test`
`accounts.0.buckets.1.domains.0`: it is defined twice
`accounts.0.buckets.1.name`: it is defined twice";
        assert_eq!(problems(&text), expected);
    }

    #[test]
    fn a_value_of_the_wrong_type_is_located_without_showing_the_line() {
        let text = "token_key = \"canary\"\n[[accounts]]\nid = \"1\"\nroot_keys = [{ id = \"canary\", secret = 5 }]";
        let found = problems(text);
        assert_eq!(
            found,
            "line 4, column 40: invalid type: integer `5`, expected a string, in `accounts.root_keys.secret`"
        );
    }
}
