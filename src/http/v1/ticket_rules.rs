//! How long a ticket lives, and what its URL begins with.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::auth::{Caller, TicketSeal};
use crate::http::error::ApiError;
use crate::http::public_url::PublicUrl;

/// The configuration of tickets; a service without it makes none.
#[derive(Debug)]
pub(crate) struct TicketRules {
    pub(crate) seal: TicketSeal,
    /// What the URLs of tickets begin with.
    pub(crate) base: PublicUrl,
    /// The longest life of a ticket.
    pub(crate) longest: TimeDelta,
}

impl TicketRules {
    /// A shorter life would end before an app has the ticket.
    pub(crate) const SHORTEST: TimeDelta = TimeDelta::seconds(60);
    /// The life of a ticket whose request names none.
    const DEFAULT: TimeDelta = TimeDelta::hours(1);

    /// When a ticket ends, in whole seconds: it carries no fractions.
    pub(super) fn end(
        &self,
        caller: &Caller,
        requested_secs: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, ApiError> {
        let life = match requested_secs {
            None => Self::DEFAULT.min(self.longest),
            Some(secs) => {
                let life = i64::try_from(secs).ok().and_then(TimeDelta::try_seconds);
                life.filter(|life| (Self::SHORTEST..=self.longest).contains(life)).ok_or_else(
                    || {
                        let (least, most) =
                            (Self::SHORTEST.num_seconds(), self.longest.num_seconds());
                        let rule = format!("a ticket lives {least} to {most} seconds");
                        ApiError::invalid("ExpiresInSeconds", rule)
                    },
                )?
            }
        };
        let end = (now + life).trunc_subsecs(0);
        Ok(caller.until().map_or(end, |until| end.min(until)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealKey;

    fn rules(longest: TimeDelta) -> TicketRules {
        let base = "https://vend.example.com".to_owned().try_into().unwrap();
        TicketRules { seal: TicketSeal::new(&[SealKey::for_tests(1)]), base, longest }
    }

    fn now() -> DateTime<Utc> {
        "2016-01-13T14:02:37.9Z".parse().unwrap()
    }

    fn caller() -> Caller {
        Caller::simulated("photo-app".parse().unwrap(), None, Default::default())
    }

    fn life(rules: &TicketRules, caller: &Caller, requested: Option<u64>) -> Option<i64> {
        rules
            .end(caller, requested, now())
            .ok()
            .map(|end| (end - now().trunc_subsecs(0)).num_seconds())
    }

    #[test]
    fn a_ticket_lives_an_hour_or_what_is_requested_within_its_bounds() {
        let day = rules(TimeDelta::days(1));
        let lives = [None, Some(59), Some(60), Some(86_400), Some(86_401), Some(u64::MAX)]
            .map(|secs| life(&day, &caller(), secs));
        assert_eq!(lives, [Some(3600), None, Some(60), Some(86_400), None, None]);
        let short = rules(TimeDelta::minutes(5));
        let lives = [None, Some(300), Some(301)].map(|secs| life(&short, &caller(), secs));
        assert_eq!(lives, [Some(300), Some(300), None]);
    }

    #[test]
    fn a_ticket_does_not_outlive_a_login_that_binds_it() {
        let day = rules(TimeDelta::days(1));
        let caller = caller().logged_in_until(now().trunc_subsecs(0) + TimeDelta::minutes(20));
        let lives = [None, Some(600), Some(86_400)].map(|secs| life(&day, &caller, secs));
        assert_eq!(lives, [Some(1200), Some(600), Some(1200)]);
    }
}
