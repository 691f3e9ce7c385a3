//! Where an issuer's keys come from, resolved.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretSlice};

use crate::auth::{
    ConfiguredKeys, Jwks, JwksEndpoint, KeyAddress, RefreshPolicy, SignatureAlgorithm,
};
use crate::config::bounds::number;
use crate::config::environment::Mode;
use crate::config::field::Field;
use crate::config::file_reads::read_text;
use crate::config::problems::Problems;
use crate::config::secret_file::read_secret;

/// A coordinate of the demo issuer's key, which is published with its other half.
const DEMO_KEY: &str = "5sZUvafPPBaFafQa3maZJQR-hkk014XJDlZr4FqoXYk";

/// The keys of `[issuers.NAME]` that are about keys.
pub(crate) struct RawKeys {
    pub(crate) jwks_file: Field<PathBuf>,
    pub(crate) jwks_url: Field<KeyAddress>,
    pub(crate) discovery: Field<bool>,
    pub(crate) secret_file: Field<PathBuf>,
    pub(crate) refresh_secs: Field<u64>,
    pub(crate) max_age_secs: Field<u64>,
    /// Whether a provider that cannot be read would set what is not given.
    pub(crate) is_set: bool,
}

/// The one of them that is given.
enum Named {
    JwksFile(PathBuf),
    JwksUrl(KeyAddress),
    Discovery,
    SecretFile(PathBuf),
}

/// Public keys for asymmetric algorithms, a shared secret for symmetric ones: never one for the other.
pub(crate) fn resolve(
    path: &str,
    raw: RawKeys,
    issuer: Option<&str>,
    algorithms: Option<&[SignatureAlgorithm]>,
    mode: Mode,
    problems: &mut Problems,
) -> Option<ConfiguredKeys> {
    let at = |key: &str| format!("{path}.{key}");
    let is_invalid = raw.is_set
        || raw.jwks_file.is_invalid()
        || raw.jwks_url.is_invalid()
        || raw.discovery.is_invalid()
        || raw.secret_file.is_invalid();
    let named = [
        problems.take(&at("jwks_file"), raw.jwks_file).map(Named::JwksFile),
        problems.take(&at("jwks_url"), raw.jwks_url).map(Named::JwksUrl),
        problems.take(&at("discovery"), raw.discovery).filter(|is| *is).map(|_| Named::Discovery),
        problems.take(&at("secret_file"), raw.secret_file).map(Named::SecretFile),
    ];
    // Files are read whatever else is wrong: what is in them is wrong by itself.
    let files = named.each_ref().map(|named| match named {
        Some(Named::JwksFile(file)) => in_file(&at("jwks_file"), file, algorithms, mode, problems),
        Some(Named::SecretFile(file)) => shared_secret(&at("secret_file"), file, problems),
        Some(Named::JwksUrl(_) | Named::Discovery) | None => None,
    });
    let keys_in_file = files.into_iter().flatten().next();
    let mut named = named.into_iter().flatten();
    let has_cadence =
        !matches!((&raw.refresh_secs, &raw.max_age_secs), (Field::Absent, Field::Absent));
    let refresh_policy = refresh_policy(path, raw.refresh_secs, raw.max_age_secs, problems);
    let (Some(source), None) = (named.next(), named.next()) else {
        if !is_invalid {
            problems.add_absence(
                path,
                "say where its keys come from by one of `discovery`, `jwks_url`, `jwks_file` and `secret_file`",
            );
        }
        return None;
    };
    let algorithms = algorithms?;
    let symmetric = algorithms.iter().filter(|algorithm| algorithm.is_symmetric()).count();
    let fits = match source {
        Named::SecretFile(_) => symmetric == algorithms.len(),
        Named::JwksFile(_) | Named::JwksUrl(_) | Named::Discovery => symmetric == 0,
    };
    if !fits || algorithms.is_empty() {
        problems.add(
            at("algorithms"),
            "asymmetric algorithms go with `discovery`, `jwks_url` or `jwks_file`, and HS256 alone with `secret_file`",
        );
        return None;
    }
    if has_cadence && matches!(source, Named::JwksFile(_) | Named::SecretFile(_)) {
        problems.add(
            path,
            "`keys_refresh_secs` and `keys_max_age_secs` go with `discovery` or `jwks_url`: files are read once",
        );
    }
    match source {
        Named::JwksFile(_) | Named::SecretFile(_) => keys_in_file.map(ConfiguredKeys::Static),
        Named::JwksUrl(address) => {
            Some(ConfiguredKeys::Fetched(JwksEndpoint::KeySet(address), refresh_policy?))
        }
        Named::Discovery => {
            let address = KeyAddress::of_discovery(issuer?);
            let address = address.map_err(|rule| problems.add(at("issuer"), rule)).ok()?;
            Some(ConfiguredKeys::Fetched(JwksEndpoint::Discovery(address), refresh_policy?))
        }
    }
}

fn shared_secret(path: &str, file: &Path, problems: &mut Problems) -> Option<Jwks> {
    let secret = problems.gather(read_secret(path, file))?;
    let bytes = SecretSlice::from(secret.expose_secret().as_bytes().to_vec());
    let keys = Jwks::from_secret(&bytes);
    keys.map_err(|problem| problems.add_error(path, &problem)).ok()
}

/// Of algorithms that cannot be read each may be meant.
fn in_file(
    path: &str,
    file: &Path,
    algorithms: Option<&[SignatureAlgorithm]>,
    mode: Mode,
    problems: &mut Problems,
) -> Option<Jwks> {
    let json = read_text(file);
    let json =
        json.map_err(|error| problems.add(path, format!("{}: {error}", file.display()))).ok()?;
    if mode == Mode::Production && json.contains(DEMO_KEY) {
        problems.add(path, "the demo issuer's key is published and works in `appserver dev` only");
        return None;
    }
    let any: Vec<_> = SignatureAlgorithm::asymmetric().collect();
    // Those of shared secrets fit no key set, which is told as such.
    let own = algorithms.filter(|own| own.iter().any(|algorithm| !algorithm.is_symmetric()));
    let keys = Jwks::from_jwks(json.as_bytes(), own.unwrap_or(&any));
    let keys = keys.map_err(|problem| problems.add_error(path, &problem)).ok()?;
    // Here it can be put right; in a set that is fetched it is the issuer's affair, and the log's.
    for faulty in keys.faulty() {
        problems.add(path, faulty);
    }
    Some(keys)
}

fn refresh_policy(
    path: &str,
    refresh_secs: Field<u64>,
    max_age_secs: Field<u64>,
    problems: &mut Problems,
) -> Option<RefreshPolicy> {
    let refresh = match refresh_secs {
        Field::Absent => Some(300),
        given => {
            let path = format!("{path}.keys_refresh_secs");
            number(problems, &path, given, 60, 86_400, "seconds")
        }
    };
    let path = format!("{path}.keys_max_age_secs");
    let max_age = match max_age_secs {
        Field::Absent => Some(86_400),
        given => number(problems, &path, given, 300, 604_800, "seconds"),
    };
    let (refresh, max_age) = (refresh?, max_age?);
    if max_age <= refresh {
        problems.add(
            path,
            "it must be more than `keys_refresh_secs`, or the keys would be too old before they are fetched again",
        );
    }
    Some(RefreshPolicy {
        refresh: Duration::from_secs(refresh),
        max_age: Duration::from_secs(max_age),
    })
}
