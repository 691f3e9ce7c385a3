//! The protocol of the lease for one session, as a model: replicas, the requests between them and Redis, and Redis.
//!
//! A tick is `timeout_ms` of the defaults, half a second, and the lease has the default six of them. Who acts when is open
//! within a tick; what Redis does with a request is one step, as a script is.

use super::explorer::Model;
use super::lease_script::{Answer, Holding, LEASE, LeaseId, Outcome, Request, Values};

/// The pause before a lease is renewed, as `Redis::keep_renewed` has it.
const RENEWAL: u8 = LEASE / 3;
/// The time limit of one request, there and back.
const TIMEOUT: u8 = 1;

/// A request on its way, with its age in ticks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Sent {
    pub(super) request: Request,
    age: u8,
}

/// The request that a replica waits for. A replica has one at a time.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Awaited {
    sent: Sent,
    /// Once Redis has run it: what it answered, if anything.
    ran: Option<Option<Answer>>,
}

/// What a replica does for this session.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
enum Work {
    /// Nothing, or it waits for another replica.
    #[default]
    Idle,
    TakesLease,
    /// It calls STS, with this lease or alone, and renews the lease after so many ticks.
    CallsSts(Option<LeaseId>, u8),
    /// The call has ended; its result is on its way to Redis.
    Completes,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Replica {
    work: Work,
    awaited: Option<Awaited>,
    /// Ticks without running since Redis has last extended its lease.
    stopped: u8,
}

impl Replica {
    /// Whether STS is called, or has issued a token that is not shared yet.
    pub(super) fn calls_sts(&self) -> bool {
        matches!(self.work, Work::CallsSts(..))
            || self.awaited.is_some_and(|awaited| {
                matches!(awaited.sent.request, Request::Complete(_, Outcome::Token))
                    && awaited.ran.is_none()
            })
    }

    /// The lease by which it calls STS.
    pub(super) fn lease(&self) -> Option<LeaseId> {
        match self.work {
            Work::CallsSts(lease, _) => lease,
            _ => None,
        }
    }

    /// Whether it would act at once if it ran.
    fn can_act(&self) -> bool {
        match self.awaited {
            Some(awaited) => awaited.sent.age >= TIMEOUT,
            None => matches!(self.work, Work::CallsSts(Some(_), 0)),
        }
    }
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct State<const N: usize> {
    pub(super) redis: Values,
    /// The values as the replica of Redis has them, which takes over after a failure.
    standby: Values,
    pub(super) replicas: [Replica; N],
    /// Requests whose replica has given them up, or has died. Redis may still run them.
    pub(super) orphans: Vec<Sent>,
    next_id: LeaseId,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Action {
    /// A replica asks for the lease.
    Ask(usize),
    /// Redis runs a replica's request.
    Run(usize),
    /// The replica gets the answer.
    Receive(usize),
    Renew(usize),
    StsAnswers(usize, Outcome),
    /// The replica is killed, and starts again.
    Die(usize),
    RunOrphan(usize),
    /// Time passes; the replicas of this set of bits do not run meanwhile.
    Tick(u8),
    // What the assumptions exclude.
    /// The replica has waited too long for Redis and works alone.
    TimeOut(usize),
    /// A cluster's client sends a request again, whose answer was lost.
    SendAgain(usize),
    LoseOrphan(usize),
    Replicate,
    FailOver,
    /// Redis's clock is set forward by so many ticks.
    JumpForward(u8),
}

/// What may happen beside what always may: replicas die at any time, and a request takes up to the time limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeaseModel<const N: usize> {
    /// How calls to STS may end.
    pub(super) outcomes: &'static [Outcome],
    /// The most requests at a time that Redis may still run although no replica waits for them.
    pub(super) most_orphans: usize,
    /// The most ticks that a replica does not run between two extensions of its lease.
    pub(super) longest_stop: u8,
    /// Whether Redis answers too late.
    pub(super) is_slow: bool,
    /// Whether Redis fails over and loses what it has not replicated.
    pub(super) fails_over: bool,
    /// How far Redis's clock is set forward at once.
    pub(super) clock_jump: u8,
}

impl<const N: usize> LeaseModel<N> {
    /// Without faults, except that replicas die.
    pub(super) const WITHIN_ASSUMPTIONS: Self = Self {
        outcomes: &[Outcome::Token, Outcome::Refusal, Outcome::NotShared],
        most_orphans: 1,
        longest_stop: 0,
        is_slow: false,
        fails_over: false,
        clock_jump: 0,
    };

    fn can_tick(&self, state: &State<N>, stopped: u8) -> bool {
        // Within the assumptions Redis has run every request when its time is over.
        let overdue = |sent: Sent| sent.age >= TIMEOUT && !self.is_slow;
        if state.orphans.iter().any(|sent| overdue(*sent)) {
            return false;
        }
        state.replicas.iter().enumerate().all(|(index, replica)| {
            let unrun = replica.awaited.is_some_and(|a| a.ran.is_none() && overdue(a.sent));
            let is_stopped = stopped & (1 << index) != 0;
            let may_stop = replica.stopped < self.longest_stop && replica.work != Work::Idle;
            !unrun && if is_stopped { may_stop } else { !replica.can_act() }
        })
    }

    fn pass(state: &mut State<N>, stopped: u8) {
        state.redis.pass(1);
        state.standby.pass(1);
        for sent in &mut state.orphans {
            sent.age = (sent.age + 1).min(TIMEOUT);
        }
        for (index, replica) in state.replicas.iter_mut().enumerate() {
            replica.stopped += u8::from(stopped & (1 << index) != 0);
            if let Some(awaited) = &mut replica.awaited {
                awaited.sent.age = (awaited.sent.age + 1).min(TIMEOUT);
            } else if let Work::CallsSts(Some(_), renew_in) = &mut replica.work {
                *renew_in = renew_in.saturating_sub(1);
            }
        }
    }

    /// Redis has answered, or has not for too long.
    fn receive(replica: &mut Replica, answer: Option<Option<Answer>>) {
        let Some(awaited) = replica.awaited.take() else { return };
        replica.work = match (awaited.sent.request, answer) {
            // Redis does not answer: the replica calls without a lease.
            (Request::Take(_), None) => Work::CallsSts(None, 0),
            (Request::Take(id), Some(answer)) => {
                let found = answer.is_some_and(|answer| answer.token > 0 || answer.refusal > 0);
                let is_ours = answer.is_some_and(|answer| answer.holder == Holding::Ours);
                match (is_ours, found) {
                    (true, false) => Work::CallsSts(Some(id), RENEWAL),
                    // What was found makes the call needless, so the lease is given back.
                    (true, true) => {
                        Self::send(replica, Request::Complete(id, Outcome::NotShared));
                        Work::Completes
                    }
                    (false, _) => Work::Idle,
                }
            }
            (Request::Renew(id), _) => Work::CallsSts(Some(id), RENEWAL),
            (Request::Complete(..), _) => Work::Idle,
        };
        if replica.work == Work::Idle {
            replica.stopped = 0;
        }
    }

    fn send(replica: &mut Replica, request: Request) {
        replica.awaited = Some(Awaited { sent: Sent { request, age: 0 }, ran: None });
    }

    /// Gives up the request that a replica waits for.
    fn orphan(&self, state: &mut State<N>, index: usize) {
        if let Some(Awaited { sent, ran: None }) = state.replicas[index].awaited {
            // Where one too many is lost, any of them may be.
            if state.orphans.len() < self.most_orphans {
                state.orphans.push(sent);
            }
        }
    }

    /// The request that Redis runs by this action.
    pub(super) fn request(state: &State<N>, action: Action) -> Option<Request> {
        match action {
            Action::Run(index) => Some(state.replicas[index].awaited?.sent.request),
            Action::RunOrphan(index) => Some(state.orphans[index].request),
            _ => None,
        }
    }
}

impl<const N: usize> Model for LeaseModel<N> {
    type State = State<N>;
    type Action = Action;

    fn start(&self) -> State<N> {
        State {
            redis: Values::default(),
            standby: Values::default(),
            replicas: [Replica::default(); N],
            orphans: Vec::new(),
            next_id: 0,
        }
    }

    fn actions(&self, state: &State<N>) -> Vec<Action> {
        let mut actions = Vec::new();
        for (index, Replica { work, awaited, .. }) in state.replicas.iter().enumerate() {
            match awaited {
                None if *work == Work::Idle => actions.push(Action::Ask(index)),
                None => {}
                Some(Awaited { ran: Some(_), .. }) => {
                    actions.push(Action::Receive(index));
                    if self.is_slow {
                        actions.push(Action::SendAgain(index));
                    }
                }
                Some(Awaited { ran: None, .. }) => actions.push(Action::Run(index)),
            }
            if self.is_slow && awaited.is_some_and(|awaited| awaited.sent.age >= TIMEOUT) {
                actions.push(Action::TimeOut(index));
            }
            // Within the assumptions no request is lost because the model has no space for it.
            let has_space = state.orphans.len() < self.most_orphans || self.is_slow;
            let may_end = has_space || awaited.is_none_or(|awaited| awaited.ran.is_some());
            if let Work::CallsSts(lease, renew_in) = work {
                if may_end {
                    let ends = self.outcomes.iter();
                    actions.extend(ends.map(|outcome| Action::StsAnswers(index, *outcome)));
                }
                if lease.is_some() && *renew_in == 0 && awaited.is_none() {
                    actions.push(Action::Renew(index));
                }
            }
            if *work != Work::Idle && may_end {
                actions.push(Action::Die(index));
            }
        }
        for index in 0..state.orphans.len() {
            actions.push(Action::RunOrphan(index));
            if self.is_slow {
                actions.push(Action::LoseOrphan(index));
            }
        }
        if self.fails_over {
            actions.extend([Action::Replicate, Action::FailOver]);
        }
        if self.clock_jump > 0 {
            actions.push(Action::JumpForward(self.clock_jump));
        }
        let stops = (0..1 << N).filter(|stopped| self.can_tick(state, *stopped));
        actions.extend(stops.map(Action::Tick));
        actions
    }

    fn next(&self, state: &State<N>, action: Action) -> State<N> {
        let mut state = state.clone();
        match action {
            Action::Ask(index) => {
                Self::send(&mut state.replicas[index], Request::Take(state.next_id));
                state.replicas[index].work = Work::TakesLease;
                state.next_id += 1;
            }
            Action::Run(index) => {
                let replica = &mut state.replicas[index];
                if let Some(awaited) = &mut replica.awaited {
                    awaited.ran = Some(state.redis.run(awaited.sent.request));
                    if !matches!(awaited.sent.request, Request::Complete(..)) {
                        replica.stopped = 0;
                    }
                }
            }
            Action::Receive(index) => {
                let answer = state.replicas[index].awaited.and_then(|awaited| awaited.ran);
                Self::receive(&mut state.replicas[index], answer);
            }
            Action::TimeOut(index) => {
                self.orphan(&mut state, index);
                Self::receive(&mut state.replicas[index], None);
            }
            Action::SendAgain(index) => {
                if let Some(awaited) = &mut state.replicas[index].awaited {
                    awaited.ran = None;
                }
            }
            Action::Renew(index) => {
                if let Work::CallsSts(Some(id), _) = state.replicas[index].work {
                    Self::send(&mut state.replicas[index], Request::Renew(id));
                }
            }
            Action::StsAnswers(index, outcome) => {
                // A renewal on its way is dropped; Redis may still run it.
                self.orphan(&mut state, index);
                let replica = &mut state.replicas[index];
                if let Some(id) = replica.lease() {
                    Self::send(replica, Request::Complete(id, outcome));
                    replica.work = Work::Completes;
                } else {
                    *replica = Replica::default();
                }
            }
            Action::Die(index) => {
                self.orphan(&mut state, index);
                state.replicas[index] = Replica::default();
            }
            Action::RunOrphan(index) => {
                let sent = state.orphans.remove(index);
                state.redis.run(sent.request);
            }
            Action::LoseOrphan(index) => {
                state.orphans.remove(index);
            }
            Action::Tick(stopped) => Self::pass(&mut state, stopped),
            Action::Replicate => state.standby = state.redis,
            Action::FailOver => state.redis = state.standby,
            Action::JumpForward(ticks) => state.redis.pass(ticks),
        }
        state
    }

    /// Leases are numbered in the order in which they are found: only which of them are equal matters.
    fn canonical(&self, mut state: State<N>) -> State<N> {
        let mut known = Vec::new();
        let mut rename = |id: &mut LeaseId| {
            let number = known.iter().position(|other| other == id).unwrap_or_else(|| {
                known.push(*id);
                known.len() - 1
            });
            *id = LeaseId::try_from(number).unwrap();
        };
        let rename_request = |request: &mut Request, rename: &mut dyn FnMut(&mut LeaseId)| {
            let (Request::Take(id) | Request::Renew(id) | Request::Complete(id, _)) = request;
            rename(id);
        };
        for values in [&mut state.redis, &mut state.standby] {
            if let Some((id, _)) = &mut values.lease {
                rename(id);
            }
        }
        for replica in &mut state.replicas {
            if let Work::CallsSts(Some(id), _) = &mut replica.work {
                rename(id);
            }
            if let Some(awaited) = &mut replica.awaited {
                rename_request(&mut awaited.sent.request, &mut rename);
                // Of an answer a replica uses no times.
                if let Some(Some(Answer { token, refusal, holder })) = &mut awaited.ran {
                    (*token, *refusal) = ((*token).min(1), (*refusal).min(1));
                    if let Holding::Other(left) = holder {
                        *left = 0;
                    }
                }
            }
        }
        for sent in &mut state.orphans {
            rename_request(&mut sent.request, &mut rename);
        }
        state.next_id = LeaseId::try_from(known.len()).unwrap();
        state.orphans.sort_unstable();
        state
    }
}
