//! The scripts of the lease for one session, as functions of the values that Redis holds.

/// The lifetime of a lease, in ticks.
pub(super) const LEASE: u8 = 6;
/// How long a shared token and a shared refusal live: short, because only whether they are there matters.
pub(super) const TOKEN: u8 = 2;
pub(super) const REFUSAL: u8 = 1;

/// Names a request for a lease, and the lease if it is granted.
pub(super) type LeaseId = u16;

/// A session's values in Redis, each with the ticks that it has left; 0 is none.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Values {
    pub(super) token: u8,
    pub(super) refusal: u8,
    pub(super) lease: Option<(LeaseId, u8)>,
}

/// The result of a call to STS.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Outcome {
    Token,
    Refusal,
    NotShared,
}

/// A request to Redis: a script with its arguments.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Request {
    Take(LeaseId),
    Renew(LeaseId),
    Complete(LeaseId, Outcome),
}

/// The answer to `Request::Take`; the others have none that a replica looks at.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Answer {
    pub(super) token: u8,
    pub(super) refusal: u8,
    pub(super) holder: Holding,
}

/// Who holds the lease after a request for it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Holding {
    Ours,
    /// With the ticks that it has left.
    Other(u8),
}

impl Values {
    /// Runs a script.
    pub(super) fn run(&mut self, request: Request) -> Option<Answer> {
        match request {
            Request::Take(id) => {
                let holder = match self.lease {
                    Some((held, left)) if held != id => Holding::Other(left),
                    Some(_) => Holding::Ours,
                    None => {
                        self.lease = Some((id, LEASE));
                        Holding::Ours
                    }
                };
                return Some(Answer { token: self.token, refusal: self.refusal, holder });
            }
            Request::Renew(id) => {
                if let Some((held, left)) = &mut self.lease
                    && *held == id
                {
                    *left = LEASE;
                }
            }
            Request::Complete(id, outcome) => {
                match outcome {
                    Outcome::Token => (self.token, self.refusal) = (TOKEN, 0),
                    Outcome::Refusal => self.refusal = REFUSAL,
                    Outcome::NotShared => {}
                }
                self.lease.take_if(|(held, _)| *held == id);
            }
        }
        None
    }

    pub(super) fn pass(&mut self, ticks: u8) {
        self.token = self.token.saturating_sub(ticks);
        self.refusal = self.refusal.saturating_sub(ticks);
        self.lease = self.lease.and_then(|(id, left)| Some((id, left.checked_sub(ticks)?)));
        self.lease.take_if(|(_, left)| *left == 0);
    }
}
