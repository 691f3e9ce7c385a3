//! `[tickets]` and `server.public_url`: URLs that vend one grant, for SDKs that cannot send a header.

use std::path::PathBuf;

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::auth::TicketSeal;
use crate::config::bounds::Secs;
use crate::config::environment::Mode;
use crate::config::field::{Clearable, Field};
use crate::config::problems::Problems;
use crate::config::secret_file::read_secret;
use crate::config::secret_reads::SecretReads;
use crate::http::{PublicUrl, TicketRules};
use crate::seal::SealKey;

#[derive(Debug, Deserialize)]
pub(crate) struct RawTickets {
    /// Holds the key that encrypts tickets; without it there are none. White space at its end is trimmed.
    key_file: Field<Clearable<PathBuf>>,
    /// Holds a key that only decrypts, while keys are rotated.
    previous_key_file: Field<Clearable<PathBuf>>,
    /// Default 86400. A request for a longer life is refused.
    max_lifetime_secs: Field<Secs<SHORTEST, DAY>>,
}

/// The longest life of a ticket: it needs no login.
const DAY: u64 = 86_400;
/// Must be `TicketRules::SHORTEST`.
const SHORTEST: u64 = 60;
const _: () = assert!(TicketRules::SHORTEST.num_seconds().unsigned_abs() == SHORTEST);

/// How tickets are made; the files of the keys are not read yet.
#[derive(Clone, Debug)]
pub(crate) struct TicketSource {
    keys: TicketKeys,
    /// `None` for the listener's own address, in the demo.
    base: Option<PublicUrl>,
    longest: TimeDelta,
}

/// Where the keys are.
#[derive(Clone, Debug)]
enum TicketKeys {
    /// No keys, and so no tickets.
    None,
    Demo,
    /// The newest first.
    Files(Vec<(&'static str, PathBuf)>),
}

pub(crate) fn resolve(
    raw: RawTickets,
    public_url: Field<Clearable<PublicUrl>>,
    mode: Mode,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<TicketSource> {
    let url_is_valid = !public_url.is_invalid();
    let is_invalid = raw.key_file.is_invalid();
    let base = problems.take_set(public_url);
    let key_file = problems.take_set(raw.key_file).map(|path| ("tickets.key_file", path));
    let previous = problems.take_set(raw.previous_key_file);
    let previous = previous.map(|path| ("tickets.previous_key_file", path));
    if key_file.is_none() && previous.is_some() && !is_invalid {
        problems.add_absence(
            "tickets.key_file",
            "a previous key goes with a new one: name a file that holds a key; `openssl rand -base64 32` makes one",
        );
    }
    if key_file.is_some() && base.is_none() && url_is_valid && mode == Mode::Production {
        problems.add_absence(
            "server.public_url",
            "a ticket is a URL, and a request's Host is not trusted for it: set it to the URL at which callers reach this service, \
             such as `https://vend.example.com`",
        );
    }
    let longest = problems.require(raw.max_lifetime_secs);
    let keys = match (key_file, mode) {
        (Some(newest), _) => TicketKeys::Files([newest].into_iter().chain(previous).collect()),
        // The previous key is checked even without a new one.
        (None, _) if previous.is_some() => TicketKeys::Files(previous.into_iter().collect()),
        (None, Mode::Demo) => TicketKeys::Demo,
        (None, Mode::Production) => TicketKeys::None,
    };
    let files = keys.clone();
    secret_reads.add(move || files.read());
    Some(TicketSource { keys, base, longest: TimeDelta::seconds(longest?.get()) })
}

impl TicketSource {
    /// Reads the keys.
    pub(crate) fn read(&self) -> Result<Option<TicketSeal>, Problems> {
        self.keys.read()
    }

    /// The rules for tickets of this seal, at a listener.
    pub(crate) fn rules(&self, seal: TicketSeal, listener: PublicUrl) -> TicketRules {
        let base = self.base.clone().unwrap_or(listener);
        TicketRules { seal, base, longest: self.longest }
    }
}

impl TicketKeys {
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
