//! `[tickets]` and `server.public_url`, resolved.

use std::path::PathBuf;

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::auth::TicketSeal;
use crate::config::bounds::number;
use crate::config::environment::Mode;
use crate::config::field::Field;
use crate::config::problems::Problems;
use crate::config::secret_file::read_secret;
use crate::config::secret_reads::SecretReads;
use crate::http::{PublicUrl, TicketRules};
use crate::seal::SealKey;

/// URLs that vend one grant, for SDKs that cannot send a header.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawTickets {
    /// Holds the key that seals tickets; without it there are none. White space at its end is trimmed.
    pub(crate) key_file: Field<PathBuf>,
    /// Holds a key that opens and does not seal, while keys are changed.
    pub(crate) previous_key_file: Field<PathBuf>,
    /// Seconds, 60 to 86400, default 86400. Asking for a longer life is refused.
    pub(crate) max_lifetime_secs: Field<i64>,
}

/// The longest that any ticket may live: it is good without a login.
const DAY: i64 = 86_400;

/// How tickets are sealed; the files of the keys are not read yet.
#[derive(Clone, Debug)]
pub(crate) struct TicketSource {
    keys: Keys,
    /// None is the listener's own address, in the demo.
    base: Option<PublicUrl>,
    longest: TimeDelta,
}

/// Where the keys are.
#[derive(Clone, Debug)]
enum Keys {
    /// There are none, and so no tickets.
    None,
    Demo,
    /// The newest first.
    Files(Vec<(&'static str, PathBuf)>),
}

pub(crate) fn resolve(
    raw: RawTickets,
    public_url: Field<String>,
    mode: Mode,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<TicketSource> {
    let mut sound = !public_url.is_invalid();
    let is_invalid = raw.key_file.is_invalid();
    let base = problems.take("server.public_url", public_url).filter(|url| !url.is_empty());
    let base = base.and_then(|url| {
        let url = PublicUrl::try_from(url);
        url.map_err(|invalid| {
            sound = false;
            problems.add("server.public_url", invalid);
        })
        .ok()
    });
    let mut file = |key: &'static str, field: Field<PathBuf>| {
        // Empty is how a later layer takes back what an earlier one set.
        let file = problems.take(key, field);
        file.filter(|path| !path.as_os_str().is_empty()).map(|path| (key, path))
    };
    let key_file = file("tickets.key_file", raw.key_file);
    let previous = file("tickets.previous_key_file", raw.previous_key_file);
    if key_file.is_none() && previous.is_some() && !is_invalid {
        problems.add_absence(
            "tickets.key_file",
            "a previous key goes with a new one: name a file that holds a key; `openssl rand -base64 32` makes one",
        );
    }
    if key_file.is_some() && base.is_none() && sound && mode == Mode::Production {
        problems.add_absence(
            "server.public_url",
            "a ticket is a URL, and requests do not tell which: set it to where callers reach this service, such as \
             `https://vend.example.com`",
        );
    }
    let longest = number(
        problems,
        "tickets.max_lifetime_secs",
        raw.max_lifetime_secs,
        TicketRules::SHORTEST.num_seconds(),
        DAY,
        "seconds",
    );
    let keys = match (key_file, mode) {
        (Some(newest), _) => Keys::Files([newest].into_iter().chain(previous).collect()),
        // What is wrong hides no fault of the key before.
        (None, _) if previous.is_some() => Keys::Files(previous.into_iter().collect()),
        (None, Mode::Demo) => Keys::Demo,
        (None, Mode::Production) => Keys::None,
    };
    let files = keys.clone();
    secret_reads.add(move || files.read());
    Some(TicketSource { keys, base, longest: TimeDelta::seconds(longest?) })
}

impl TicketSource {
    /// Reads the keys. White space at the ends is trimmed: files tend to end in a newline.
    pub(crate) fn read(&self) -> Result<Option<TicketSeal>, Problems> {
        self.keys.read()
    }

    /// The rules for tickets of this seal, at a listener.
    pub(crate) fn rules(&self, seal: TicketSeal, listener: PublicUrl) -> TicketRules {
        let base = self.base.clone().unwrap_or(listener);
        TicketRules { seal, base, longest: self.longest }
    }
}

impl Keys {
    fn read(&self) -> Result<Option<TicketSeal>, Problems> {
        let files = match self {
            Self::None => return Ok(None),
            Self::Demo => return Ok(Some(TicketSeal::new(&[SealKey::demo()]))),
            Self::Files(files) => files,
        };
        let mut problems = Problems::default();
        let mut keys = Vec::new();
        for (key, path) in files {
            let read = read_secret(key, path).and_then(|text| {
                SealKey::from_base64(text.expose_secret())
                    .map_err(|invalid| Problems::one(*key, invalid))
            });
            keys.extend(problems.gather(read));
        }
        problems.into_result(Some(Some(TicketSeal::new(&keys))))
    }
}
