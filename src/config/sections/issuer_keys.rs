//! Where an issuer's keys come from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretSlice};

use crate::auth::{
    ConfiguredKeys, Jwks, JwksEndpoint, KeyAddress, RefreshPolicy, SignatureAlgorithm,
};
use crate::config::bounds::Secs;
use crate::config::environment::Mode;
use crate::config::field::Field;
use crate::config::file_reads::read_text;
use crate::config::problems::Problems;
use crate::config::secret_file::read_secret;

/// A coordinate of the demo issuer's key, which is published with its other half.
const DEMO_KEY: &str = "5sZUvafPPBaFafQa3maZJQR-hkk014XJDlZr4FqoXYk";

pub(crate) type RefreshSecs = Secs<60, 86_400>;
pub(crate) type MaxAgeSecs = Secs<300, 604_800>;

/// The settings of `[issuers.NAME]` that are about keys.
pub(crate) struct UnresolvedKeys {
    pub(crate) jwks_file: Field<PathBuf>,
    pub(crate) jwks_url: Field<KeyAddress>,
    pub(crate) discovery: Field<bool>,
    pub(crate) secret_file: Field<PathBuf>,
    pub(crate) refresh_secs: Field<RefreshSecs>,
    pub(crate) max_age_secs: Field<MaxAgeSecs>,
    /// Whether an invalid provider may be one that sets the keys that are not given.
    pub(crate) is_preset: bool,
}

/// The one source that is set.
enum JwksOrigin {
    JwksFile(PathBuf),
    JwksUrl(KeyAddress),
    Discovery,
    SecretFile(PathBuf),
}

/// Public keys for asymmetric algorithms, a shared secret for symmetric ones: never one for the other.
pub(crate) fn resolve(
    path: &str,
    raw: UnresolvedKeys,
    issuer: Option<&str>,
    algorithms: Option<&[SignatureAlgorithm]>,
    mode: Mode,
    problems: &mut Problems,
) -> Option<ConfiguredKeys> {
    let at = |key: &str| format!("{path}.{key}");
    let is_invalid = raw.is_preset
        || raw.jwks_file.is_invalid()
        || raw.jwks_url.is_invalid()
        || raw.discovery.is_invalid()
        || raw.secret_file.is_invalid();
    let named = [
        problems.take(raw.jwks_file).map(JwksOrigin::JwksFile),
        problems.take(raw.jwks_url).map(JwksOrigin::JwksUrl),
        problems.take(raw.discovery).filter(|is| *is).map(|_| JwksOrigin::Discovery),
        problems.take(raw.secret_file).map(JwksOrigin::SecretFile),
    ];
    // Files are read whatever else is invalid: their content has problems of its own.
    let files = named.each_ref().map(|named| match named {
        Some(JwksOrigin::JwksFile(file)) => {
            in_file(&at("jwks_file"), file, algorithms, mode, problems)
        }
        Some(JwksOrigin::SecretFile(file)) => shared_secret(&at("secret_file"), file, problems),
        Some(JwksOrigin::JwksUrl(_) | JwksOrigin::Discovery) | None => None,
    });
    let keys_in_file = files.into_iter().flatten().next();
    let count = named.iter().flatten().count();
    let mut named = named.into_iter().flatten();
    let has_refresh_policy = !raw.refresh_secs.is_absent() || !raw.max_age_secs.is_absent();
    let refresh_policy = refresh_policy(raw.refresh_secs, raw.max_age_secs, path, problems);
    let (Some(source), None) = (named.next(), named.next()) else {
        if !is_invalid {
            const SOURCES: &str = "`discovery`, `jwks_url`, `jwks_file` and `secret_file`";
            if count == 0 {
                problems
                    .add_absence(path, format!("set the source of its keys by one of {SOURCES}"));
            } else {
                problems.add(
                    path,
                    format!("{count} of {SOURCES} are set; keep one source of its keys"),
                );
            }
        }
        return None;
    };
    let algorithms = algorithms?;
    let symmetric = algorithms.iter().filter(|algorithm| algorithm.is_symmetric()).count();
    let fits = match source {
        JwksOrigin::SecretFile(_) => symmetric == algorithms.len(),
        JwksOrigin::JwksFile(_) | JwksOrigin::JwksUrl(_) | JwksOrigin::Discovery => symmetric == 0,
    };
    if algorithms.is_empty() {
        problems.add(at("algorithms"), "name at least one, such as \"RS256\"");
        return None;
    }
    if !fits {
        problems.add(
            at("algorithms"),
            "asymmetric algorithms go with `discovery`, `jwks_url` or `jwks_file`, and HS256 alone with `secret_file`",
        );
        return None;
    }
    if has_refresh_policy && matches!(source, JwksOrigin::JwksFile(_) | JwksOrigin::SecretFile(_)) {
        problems.add(
            path,
            "`keys_refresh_secs` and `keys_max_age_secs` go with `discovery` or `jwks_url`: files are read once",
        );
    }
    match source {
        JwksOrigin::JwksFile(_) | JwksOrigin::SecretFile(_) => {
            keys_in_file.map(ConfiguredKeys::Static)
        }
        JwksOrigin::JwksUrl(address) => {
            Some(ConfiguredKeys::Fetched(JwksEndpoint::KeySet(address), refresh_policy?))
        }
        JwksOrigin::Discovery => {
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

/// The keys of a file. If the algorithms are invalid, keys for any of them are accepted.
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
    // Symmetric algorithms fit no key set, which is a problem of its own.
    let own = algorithms.filter(|own| own.iter().any(|algorithm| !algorithm.is_symmetric()));
    let keys = Jwks::from_jwks(json.as_bytes(), own.unwrap_or(&any));
    let keys = keys.map_err(|problem| problems.add_error(path, &problem)).ok()?;
    // The operator can correct a file; unusable keys of a fetched set are only logged.
    for faulty in keys.faulty() {
        problems.add(path, faulty);
    }
    Some(keys)
}

fn refresh_policy(
    refresh_secs: Field<RefreshSecs>,
    max_age_secs: Field<MaxAgeSecs>,
    path: &str,
    problems: &mut Problems,
) -> Option<RefreshPolicy> {
    let refresh = problems.or(refresh_secs, const { Secs::new(300) });
    let max_age = problems.or(max_age_secs, const { Secs::new(86_400) });
    let (refresh, max_age) = (Duration::from(refresh?), Duration::from(max_age?));
    if max_age <= refresh {
        problems.add(
            format!("{path}.keys_max_age_secs"),
            "it must be more than `keys_refresh_secs`, or the keys would be too old before they are fetched again",
        );
    }
    Some(RefreshPolicy { refresh, max_age })
}
