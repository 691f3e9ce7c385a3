//! `config/emulator.toml`: its shape, and what becomes of it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::oss::{Acl, check_key};
use super::ram::{Key, Owner, Policy, Ram, Role, TrustPolicy, User, system_policy};
use super::settings_problem::{EmulatorProblem, FieldProblem, Problems};
use super::token::TokenKey;
use appserver_domain::{AccessKeyId, AccountId, Bucket, MaxSessionDuration};

/// The emulated world: accounts, users, roles, buckets and the key that seals tokens.
#[derive(Debug)]
pub struct EmulatorSettings {
    pub(crate) ram: Ram,
    pub(crate) token_key: TokenKey,
    /// The buckets of the emulated OSS.
    pub buckets: Vec<BucketSettings>,
}

/// A bucket of the emulated OSS.
#[derive(Clone, Debug)]
pub struct BucketSettings {
    /// Its name.
    pub name: Bucket,
    /// Its region, such as `oss-cn-hangzhou`.
    pub region: String,
    /// The account whose bucket it is.
    pub(crate) account: String,
    pub(crate) acl: Acl,
    /// Keys of the objects that it begins with; what they hold is made from the keys.
    pub(crate) objects: Vec<String>,
}

impl EmulatorSettings {
    /// Reads a configuration's text. Policy files that it names are looked for in the current directory.
    pub fn from_toml(text: &str) -> Result<Self, EmulatorProblem> {
        Self::from_toml_in(text, Path::new(""))
    }

    /// Reads a configuration file. Policy files that it names are looked for beside it.
    pub fn from_file(path: &Path) -> Result<Self, EmulatorProblem> {
        let text = read_text(path)
            .map_err(|source| EmulatorProblem::Unreadable { path: path.to_owned(), source })?;
        Self::from_toml_in(&text, path.parent().unwrap_or(Path::new("")))
    }

    fn from_toml_in(text: &str, folder: &Path) -> Result<Self, EmulatorProblem> {
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
        let mut world = World {
            folder,
            problems,
            keys: HashMap::new(),
            roles: HashMap::new(),
            buckets: Vec::new(),
        };
        for (index, account) in raw.accounts.into_iter().enumerate() {
            world.add_account(&format!("accounts.{index}"), account);
        }
        let World { problems, keys, roles, buckets, .. } = world;
        match (token_key, problems.into_result()) {
            (Some(token_key), Ok(())) => Ok(Self { ram: Ram { keys, roles }, token_key, buckets }),
            (_, Err(problem)) => Err(problem),
            (None, Ok(())) => unreachable!("a missing key is among the problems"),
        }
    }

    /// Opens the tokens that this world's STS seals.
    pub fn token_key(&self) -> &TokenKey {
        &self.token_key
    }
}

#[derive(Deserialize)]
struct RawSettings {
    /// 64 hexadecimal digits.
    #[serde(deserialize_with = "secret")]
    token_key: SecretString,
    #[serde(default)]
    accounts: Vec<RawAccount>,
}

#[derive(Deserialize)]
struct RawAccount {
    id: AccountId,
    /// Of the account itself, which real accounts should not have.
    #[serde(default)]
    root_keys: Vec<RawKey>,
    #[serde(default)]
    users: Vec<RawUser>,
    #[serde(default)]
    roles: Vec<RawRole>,
    #[serde(default)]
    buckets: Vec<RawBucket>,
    /// Custom policies by name.
    #[serde(default)]
    policies: BTreeMap<String, RawDocument>,
}

#[derive(Deserialize)]
struct RawKey {
    id: AccessKeyId,
    #[serde(deserialize_with = "secret")]
    secret: SecretString,
    #[serde(default = "yes")]
    active: bool,
}

#[derive(Deserialize)]
struct RawUser {
    name: String,
    id: String,
    #[serde(default)]
    keys: Vec<RawKey>,
    /// Names of system policies or of the account's custom ones.
    #[serde(default)]
    policies: Vec<String>,
}

#[derive(Deserialize)]
struct RawRole {
    name: String,
    id: String,
    max_session_duration_secs: Option<u32>,
    trust: RawDocument,
    #[serde(default)]
    policies: Vec<String>,
}

#[derive(Deserialize)]
struct RawBucket {
    name: Bucket,
    /// Such as `cn-hangzhou`.
    region: String,
    acl: Acl,
    #[serde(default)]
    objects: Vec<String>,
}

/// RAM's JSON, either as it is or in a file.
#[derive(Deserialize)]
struct RawDocument {
    json: Option<String>,
    file: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// What has been read so far, and what was wrong with it.
struct World<'a> {
    folder: &'a Path,
    problems: Problems,
    keys: HashMap<String, Key>,
    roles: HashMap<String, Role>,
    buckets: Vec<BucketSettings>,
}

impl World<'_> {
    fn add_account(&mut self, path: &str, account: RawAccount) {
        let id = account.id.as_str();
        let mut custom = HashMap::new();
        for (name, document) in account.policies {
            let path = format!("{path}.policies.{name}");
            if let Some(policy) = self.document(&path, document, Policy::parse) {
                custom.insert(name, Arc::new(policy));
            }
        }
        for (index, key) in account.root_keys.into_iter().enumerate() {
            self.add_key(&format!("{path}.root_keys.{index}"), key, Owner::Root(id.to_owned()));
        }
        for (index, raw) in account.users.into_iter().enumerate() {
            let path = format!("{path}.users.{index}");
            self.check_name(&path, &raw.name);
            let user = Arc::new(User {
                account: id.to_owned(),
                arn: format!("acs:ram::{id}:user/{}", raw.name),
                id: raw.id,
                policies: self.attached(&path, &raw.policies, &custom),
            });
            for (index, key) in raw.keys.into_iter().enumerate() {
                self.add_key(&format!("{path}.keys.{index}"), key, Owner::User(Arc::clone(&user)));
            }
        }
        for (index, role) in account.roles.into_iter().enumerate() {
            self.add_role(&format!("{path}.roles.{index}"), id, role, &custom);
        }
        for (index, bucket) in account.buckets.into_iter().enumerate() {
            self.add_bucket(&format!("{path}.buckets.{index}"), id, bucket);
        }
    }

    fn add_key(&mut self, path: &str, key: RawKey, owner: Owner) {
        let RawKey { id, secret, active } = key;
        if self.keys.insert(id.as_str().to_owned(), Key { secret, active, owner }).is_some() {
            self.problems.add(&format!("{path}.id"), FieldProblem::Taken);
        }
    }

    fn add_role(
        &mut self,
        path: &str,
        account: &str,
        raw: RawRole,
        custom: &HashMap<String, Arc<Policy>>,
    ) {
        self.check_name(path, &raw.name);
        let policies = self.attached(path, &raw.policies, custom);
        let trust = self.document(&format!("{path}.trust"), raw.trust, TrustPolicy::parse);
        let secs = raw.max_session_duration_secs;
        let max_session_duration =
            secs.map_or(Some(MaxSessionDuration::DEFAULT), MaxSessionDuration::from_secs);
        if max_session_duration.is_none() {
            self.problems
                .add(&format!("{path}.max_session_duration_secs"), FieldProblem::SessionDuration);
        }
        if let (Some(trust), Some(max_session_duration)) = (trust, max_session_duration) {
            let arn = format!("acs:ram::{account}:role/{}", raw.name);
            let account = account.to_owned();
            let (id, name) = (raw.id, raw.name);
            let role = Role { account, id, name, max_session_duration, trust, policies };
            if self.roles.insert(arn, role).is_some() {
                self.problems.add(&format!("{path}.name"), FieldProblem::Taken);
            }
        }
    }

    fn add_bucket(&mut self, path: &str, account: &str, raw: RawBucket) {
        let RawBucket { name, region, acl, objects } = raw;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.is_empty() || !region.bytes().all(plain) || region.starts_with("oss-") {
            self.problems.add(&format!("{path}.region"), FieldProblem::Region);
        }
        for (index, key) in objects.iter().enumerate() {
            if key.is_empty() || check_key(key).is_err() {
                self.problems.add(&format!("{path}.objects.{index}"), FieldProblem::Key);
            }
        }
        if self.buckets.iter().any(|bucket| bucket.name == name) {
            self.problems.add(&format!("{path}.name"), FieldProblem::Taken);
        }
        let account = account.to_owned();
        self.buckets.push(BucketSettings { name, region, account, acl, objects });
    }

    fn check_name(&mut self, path: &str, name: &str) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
            self.problems.add(&format!("{path}.name"), FieldProblem::Name);
        }
    }

    fn attached(
        &mut self,
        path: &str,
        names: &[String],
        custom: &HashMap<String, Arc<Policy>>,
    ) -> Vec<Arc<Policy>> {
        let mut policies = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let system = || system_policy(name).and_then(|json| Policy::parse(json).ok());
            match custom.get(name).cloned().or_else(|| system().map(Arc::new)) {
                Some(policy) => policies.push(policy),
                None => {
                    self.problems.add(&format!("{path}.policies.{index}"), FieldProblem::NoPolicy);
                }
            }
        }
        policies
    }

    fn document<T>(
        &mut self,
        path: &str,
        raw: RawDocument,
        parse: impl Fn(&str) -> Result<T, super::ram::PolicyProblem>,
    ) -> Option<T> {
        let (path, json) = match (raw.json, raw.file) {
            (Some(json), None) => (format!("{path}.json"), Ok(json)),
            (None, Some(file)) => {
                let text = read_text(&self.folder.join(file));
                // Some editors begin a file with a byte-order mark, of which STS would know nothing.
                let text = text.map(|text| text.trim_start_matches('\u{feff}').to_owned());
                (format!("{path}.file"), text.map_err(FieldProblem::Unreadable))
            }
            (Some(_), Some(_)) | (None, None) => (path.to_owned(), Err(FieldProblem::Document)),
        };
        match json.and_then(|json| parse(&json).map_err(FieldProblem::Policy)) {
            Ok(document) => Some(document),
            Err(problem) => {
                self.problems.add(&path, problem);
                None
            }
        }
    }
}

/// Reads a file up to a length that no configuration has. It may be a pipe, as the shell's `<(…)` is; a pipe or a device may
/// never end.
fn read_text(path: &Path) -> io::Result<String> {
    const MAX_BYTES: u64 = 64 << 20;
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let why = format!("it is longer than {} MiB", MAX_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text");
    String::from_utf8(bytes).map_err(not_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUST: &str = r#"{ json = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::1:root"]}}]}' }"#;

    fn problems(text: &str) -> String {
        EmulatorSettings::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_configuration_is_good() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/emulator.toml"));
        let settings = EmulatorSettings::from_file(path).unwrap();
        let mut keys: Vec<_> = settings.ram.keys.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["disabledid", "internid", "nextid", "rootid", "testid"]);
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
objects = ["a", "/b", ""]
[[accounts.buckets]]
name = "photos"
region = "cn-hangzhou"
acl = "private"
"#
        );
        let expected = "\
`accounts.0.users.0.colour`: there is no such key
`colour`: there is no such key
`token_key`: 64 hexadecimal digits are needed
`accounts.0.policies.both`: either `json` or `file` is needed
`accounts.0.policies.gone.file`: the file cannot be read: No such file or directory (os error 2)
`accounts.0.policies.wide.json`: `Version` is \"1\"
`accounts.0.users.0.name`: 1 to 64 characters of A-Z, a-z, 0-9, `.`, `_` and `-` are needed
`accounts.0.users.0.policies.0`: neither a system policy nor one of the account's has this name
`accounts.0.users.0.keys.0.id`: it is taken
`accounts.0.roles.0.max_session_duration_secs`: 3600 to 43200 seconds are possible
`accounts.0.buckets.0.region`: a region's name is needed, such as `cn-hangzhou`, without `oss-`
`accounts.0.buckets.0.objects.1`: 1 to 1023 bytes are needed, the first of them no `/` or `\\`
`accounts.0.buckets.0.objects.2`: 1 to 1023 bytes are needed, the first of them no `/` or `\\`
`accounts.0.buckets.1.name`: it is taken";
        assert_eq!(problems(&text), expected);
    }

    #[test]
    fn a_value_of_the_wrong_type_is_located_without_showing_the_line() {
        let text = "token_key = \"canary\"\n[[accounts]]\nid = \"1\"\nroot_keys = [{ id = \"canary\", secret = 5 }]";
        let shown = problems(text);
        assert_eq!(
            shown,
            "line 4, column 40: invalid type: integer `5`, expected a string, in `accounts.root_keys.secret`"
        );
    }
}
