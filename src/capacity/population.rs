//! Tokens of one kind, by age: how many are fresh, which of them are refreshed ahead, and who waits for one.
//!
//! The keys of a population behave alike, so that parts of them are computed instead of each. The rules are those of
//! `vend`: `Token::is_fresh`, `Token::refresh_due`, `Token::refresh_after` and `Engine::refresh_ahead`.

use std::collections::VecDeque;

/// When what happens to a token, in seconds of its age.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenAges {
    /// It is fresh up to this age.
    pub(super) fresh: f64,
    /// Up to this age it is handed out if no other is available in time.
    pub(super) usable: f64,
    /// An app in use asks for another one, on average.
    pub(super) asks_again: f64,
    /// When it got the same token again each time: it asks first at this age when the token is no longer usable.
    pub(super) asks_in_vain: f64,
}

/// How a population is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) keys: f64,
    /// Sessions of one key in a day.
    pub(super) sessions: f64,
    /// How likely a session lasts until the app asks for another token.
    pub(super) lasts: f64,
    /// The mean duration of a session in seconds.
    pub(super) session_secs: f64,
}

/// What STS is asked for within a step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StepDemand {
    /// Keys whose callers begin to wait.
    pub(super) misses: f64,
    /// Tokens that are to be refreshed.
    pub(super) refreshes: f64,
    /// Fresh tokens that are used again.
    pub(super) used: f64,
}

/// Shares of the keys, by the state of their tokens.
#[derive(Debug)]
pub(super) struct Population {
    usage: Usage,
    ages: TokenAges,
    /// Seconds.
    step: f64,
    without_token: f64,
    waiting: f64,
    issued: Cohorts,
    refreshed: Cohorts,
    /// No longer fresh, but usable.
    lapsed: VecDeque<f64>,
    /// No longer usable, but held by an app that was given it again and asks for another one at the end.
    ended: VecDeque<f64>,
    /// How likely an app still holds a token that ends.
    held_at_the_end: f64,
}

/// Fresh tokens by age, the youngest first.
#[derive(Debug)]
struct Cohorts {
    /// Refreshes of these are due within this part of the time for which they are fresh.
    due: (f64, f64),
    unused: VecDeque<f64>,
    /// Used after the request for which they were fetched, and therefore refreshed.
    used: VecDeque<f64>,
}

impl Population {
    pub(super) fn new(usage: Usage, ages: TokenAges, step: f64) -> Self {
        let bins = |secs: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "bounded by a token's life"
            )]
            let count = (secs / step).round() as usize;
            VecDeque::from(vec![0.0; count.max(1)])
        };
        let cohorts = |due| Cohorts { due, unused: bins(ages.fresh), used: bins(ages.fresh) };
        Self {
            usage,
            ages,
            step,
            without_token: usage.keys,
            waiting: 0.0,
            // The fractions of `Token::refresh_due`.
            issued: cohorts((0.1, 0.9)),
            refreshed: cohorts((0.7, 0.9)),
            lapsed: bins((ages.usable - ages.fresh).max(0.0)),
            ended: bins(ages.asks_in_vain - ages.usable),
            held_at_the_end: 0.0,
        }
    }

    pub(super) fn waiting(&self) -> f64 {
        self.waiting
    }

    /// The requests of a step, for which `share` of a day's sessions begin. While `is_crowded`, a usable token is handed
    /// out instead of a new one.
    pub(super) fn request(&mut self, share: f64, is_crowded: bool) -> StepDemand {
        let asked = 1.0 - (-self.usage.sessions * share).exp();
        let mut demand = StepDemand::default();
        for cohorts in [&mut self.issued, &mut self.refreshed] {
            for (unused, used) in cohorts.unused.iter_mut().zip(&mut cohorts.used) {
                let hit = *unused * asked;
                *unused -= hit;
                *used += hit;
                demand.used += hit;
            }
            demand.refreshes +=
                cohorts.due_now(self.ages, self.step).map(|(_, due)| due).sum::<f64>();
        }
        if !is_crowded {
            for (bin, lapsed) in self.lapsed.iter_mut().enumerate() {
                let age = self.ages.fresh + bin as f64 * self.step;
                let asks_again = (age..age + self.step).contains(&self.ages.asks_again);
                let missed = *lapsed * if asks_again { self.usage.lasts.max(asked) } else { asked };
                *lapsed -= missed;
                demand.misses += missed;
            }
        }
        for (bin, ended) in self.ended.iter_mut().rev().enumerate() {
            let missed = *ended * if bin == 0 { 1.0 } else { asked };
            *ended -= missed;
            demand.misses += missed;
        }
        self.held_at_the_end = if is_crowded { self.in_use_at_the_end(share) } else { 0.0 };
        let missed = self.without_token * asked;
        self.without_token -= missed;
        demand.misses += missed;
        self.waiting += demand.misses;
        demand
    }

    /// How likely some session still uses a token that ends: the one that it was fetched for, or a later one.
    fn in_use_at_the_end(&self, share: f64) -> f64 {
        let first = (-self.ages.asks_in_vain / self.usage.session_secs).exp();
        let sessions_a_second = self.usage.sessions * share / self.step;
        let later = sessions_a_second * self.usage.session_secs * (1.0 - first);
        1.0 - (1.0 - first) * (-later).exp()
    }

    /// STS answers the calls of this number of waiting keys, and refreshes this fraction of what is due. Then a step
    /// passes.
    pub(super) fn answer(&mut self, served: f64, refreshed: f64) {
        let mut renewed = (0.0, 0.0);
        for cohorts in [&mut self.issued, &mut self.refreshed] {
            let due: Vec<_> = cohorts.due_now(self.ages, self.step).collect();
            for (used, (age, due)) in cohorts.used.iter_mut().zip(due) {
                let due = due * refreshed;
                *used -= due;
                // An app that is in use when its token is replaced asks for the new one later.
                let since_hit = (self.ages.asks_again - age / 2.0).max(0.0);
                let later = (-since_hit / self.usage.session_secs).exp();
                let in_use = 1.0 - (1.0 - self.usage.lasts) * (1.0 - later);
                renewed.0 += due * (1.0 - in_use);
                renewed.1 += due * in_use;
            }
        }
        self.waiting -= served;
        let lapsed =
            self.issued.grow_older(served, 0.0) + self.refreshed.grow_older(renewed.0, renewed.1);
        self.lapsed.push_front(lapsed);
        let ended = self.lapsed.pop_back().unwrap_or(0.0);
        self.ended.push_front(ended * self.held_at_the_end);
        self.without_token += ended * (1.0 - self.held_at_the_end);
        self.without_token += self.ended.pop_back().unwrap_or(0.0);
    }
}

impl Cohorts {
    /// The age of each used cohort, and how many of it are due within a step.
    fn due_now(&self, ages: TokenAges, step: f64) -> impl Iterator<Item = (f64, f64)> {
        let (first, last) = (self.due.0 * ages.fresh, self.due.1 * ages.fresh);
        self.used.iter().enumerate().map(move |(bin, used)| {
            let age = (bin as f64 + 0.5) * step;
            let part = if age < first { 0.0 } else { (step / (last - age).max(step)).min(1.0) };
            (age, used * part)
        })
    }

    /// Adds new tokens, and returns how many are no longer fresh.
    fn grow_older(&mut self, unused: f64, used: f64) -> f64 {
        self.unused.push_front(unused);
        self.used.push_front(used);
        self.unused.pop_back().unwrap_or(0.0) + self.used.pop_back().unwrap_or(0.0)
    }
}
