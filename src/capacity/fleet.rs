//! A fleet of phones, and the tokens that it asks for.

use std::str::FromStr;
use std::time::Duration;

use super::day::{Day, Rates, simulate};
use super::population::{TokenAges, Usage};
use super::wave::{DAY_SECS, DailyWave};
use crate::vend::Freshness;

/// The defaults of `[vend]`.
const FRESHNESS: Freshness =
    Freshness { min_remaining: None, stale_remaining: Duration::from_mins(5) };
/// The middle of the range of `Token::refresh_after`, as a fraction of the minimum remainder.
const ASKS_AGAIN_LEFT: f64 = 0.86;
/// The same for a token that is not fresh: the part of its remaining life after which the app asks again.
const ASKS_AGAIN_STALE: f64 = 0.375;
/// `vend.budget.refresh_percent`, as a fraction.
const REFRESH_SHARE: f64 = 0.2;
const MINUTES_A_DAY: f64 = 24.0 * 60.0;

/// Phones that come and go in a daily wave. In each session the app asks once for a token of each grant, and again when
/// the answer tells it to. Sessions begin independently of each other, and last an exponentially distributed time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fleet {
    users: f64,
    grants: GrantMix,
    token_secs: u32,
    sessions_per_day: f64,
    session_secs: f64,
    wave: DailyWave,
    /// The part of the budget that refreshes may take, 0 to 1.
    refresh_share: f64,
}

/// How many grants there are of each kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct GrantMix {
    /// Each user has a token of its own.
    pub(crate) user: u32,
    /// One token for all users.
    pub(crate) shared: u32,
    /// Forms and URLs are signed with one session for all users.
    pub(crate) upload: u32,
}

/// No fleet can be like this.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq)]
pub(crate) enum ImpossibleFleet {
    #[error(
        "--sessions-per-day and --session-minutes: {minutes} minutes of sessions do not fit into a user's day of 1440; lower one of them"
    )]
    SessionsExceedTheDay { minutes: f64 },
}

impl Fleet {
    /// The flags are in the ranges of the command line.
    pub(crate) fn new(
        users: u64,
        grants: GrantMix,
        token_secs: u32,
        (sessions_per_day, session_minutes): (f64, f64),
        peak_hour_percent: f64,
    ) -> Result<Self, ImpossibleFleet> {
        let minutes = sessions_per_day * session_minutes;
        if minutes > MINUTES_A_DAY {
            return Err(ImpossibleFleet::SessionsExceedTheDay { minutes });
        }
        Ok(Self {
            users: users as f64,
            grants,
            token_secs,
            sessions_per_day,
            session_secs: session_minutes * 60.0,
            wave: DailyWave::with_peak_hour(peak_hour_percent / 100.0),
            refresh_share: REFRESH_SHARE,
        })
    }

    pub(super) fn grants(&self) -> GrantMix {
        self.grants
    }

    pub(super) fn with_grants(self, grants: GrantMix) -> Self {
        Self { grants, ..self }
    }

    pub(super) fn token_secs(&self) -> u32 {
        self.token_secs
    }

    pub(super) fn with_token_secs(self, token_secs: u32) -> Self {
        Self { token_secs, ..self }
    }

    pub(super) fn refresh_share(&self) -> f64 {
        self.refresh_share
    }

    pub(crate) fn with_refresh_percent(self, percent: u32) -> Self {
        Self { refresh_share: f64::from(percent) / 100.0, ..self }
    }

    /// How many different tokens there are.
    pub(super) fn keys(&self) -> f64 {
        let GrantMix { user, shared, upload } = self.grants;
        self.users * f64::from(user) + f64::from(shared + upload)
    }

    /// A day at STS, at which no more than these calls are made.
    pub(super) fn day(&self, rates: Rates) -> Day {
        let life = f64::from(self.token_secs);
        simulate(&self.usages(), self.ages(), life, self.wave, rates)
    }

    /// Requests in a day.
    pub(super) fn requests(&self) -> f64 {
        let GrantMix { user, shared, upload } = self.grants;
        let in_session = f64::from(user + shared) * self.requests_per_session() + f64::from(upload);
        self.users * self.sessions_per_day * in_session
    }

    /// The part of a day's sessions that begins in one second, so many seconds after the quietest time.
    pub(crate) fn share_a_second(&self, at_secs: f64) -> f64 {
        self.wave.share_a_second(at_secs)
    }

    /// That of the busiest second.
    pub(super) fn peak_share(&self) -> f64 {
        self.share_a_second(DAY_SECS / 2.0)
    }

    fn usages(&self) -> [Usage; 2] {
        let GrantMix { user, shared, upload } = self.grants;
        let of_user = Usage {
            keys: self.users * f64::from(user),
            sessions: self.sessions_per_day,
            lasts: self.lasts(),
            session_secs: self.session_secs,
        };
        let sessions = self.users * self.sessions_per_day;
        let of_all =
            Usage { keys: f64::from(shared + upload), sessions, lasts: 0.0, session_secs: 1.0 };
        [of_user, of_all]
    }

    fn ages(&self) -> TokenAges {
        let life = f64::from(self.token_secs);
        let least = FRESHNESS.least(Duration::from_secs(self.token_secs.into())).as_secs_f64();
        let usable = life - FRESHNESS.stale_remaining.as_secs_f64();
        let asks_again = life - ASKS_AGAIN_LEFT * least;
        let mut asks_in_vain = asks_again;
        while asks_in_vain < usable {
            asks_in_vain += (life - asks_in_vain) * ASKS_AGAIN_STALE;
        }
        TokenAges { fresh: life - least, usable, asks_again, asks_in_vain }
    }

    /// How likely a session lasts from one request to the next.
    fn lasts(&self) -> f64 {
        if self.session_secs > 0.0 {
            (-self.ages().asks_again / self.session_secs).exp()
        } else {
            0.0
        }
    }

    fn requests_per_session(&self) -> f64 {
        1.0 / (1.0 - self.lasts())
    }
}

/// `user=2,shared=1,upload=1`, each kind at most once, with or without spaces.
impl FromStr for GrantMix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const RULE: &str = "kinds are `user`, `shared` and `upload`, each once and with a number of grants up to 1000, such as `user=1,shared=2`";
        let (mut user, mut shared, mut upload) = (None, None, None);
        for part in text.split(',') {
            let part = part.trim();
            if part.is_empty() && text.contains(',') {
                return Err(format!("there is nothing before or after a comma: {RULE}"));
            }
            if part.is_empty() {
                return Err(format!("there is no grant: {RULE}"));
            }
            let (kind, count) =
                part.split_once('=').ok_or_else(|| format!("`{part}` has no number: {RULE}"))?;
            let (kind, count) = (kind.trim(), count.trim());
            let slot = match kind {
                "user" => &mut user,
                "shared" => &mut shared,
                "upload" => &mut upload,
                _ => return Err(format!("`{kind}` is no kind of grant: {RULE}")),
            };
            let number = count.parse().ok().filter(|number| *number <= 1000);
            let number: u32 = number
                .ok_or_else(|| format!("`{count}` is no number of `{kind}` up to 1000: {RULE}"))?;
            if slot.replace(number).is_some() {
                return Err(format!("`{kind}` is there twice: {RULE}"));
            }
        }
        let [user, shared, upload] = [user, shared, upload].map(Option::unwrap_or_default);
        if user + shared + upload == 0 {
            return Err(format!("there is no grant: {RULE}"));
        }
        Ok(Self { user, shared, upload })
    }
}
