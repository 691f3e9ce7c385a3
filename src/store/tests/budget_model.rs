//! The shared budget as a model: replicas that reserve calls, and the bucket in Redis.
//!
//! A tick is the time of one call at the full rate, and a second is three of them.

use super::explorer::Model;

/// One call. A power of two, so that halves of halves are exact.
pub(super) const CALL: i64 = 1 << 16;
/// The ticks of a second: the calls per second.
pub(super) const SECOND: usize = 3;
pub(super) const BURST: i64 = 2 * CALL;
/// The terms of `budget.lua`, for each tick and in parts of the full rate where they are such.
pub(super) const REFRESH_SHARE: i64 = CALL / 2;
pub(super) const REFRESH_BURST: i64 = CALL;
pub(super) const FLOOR: i64 = CALL / 4;
pub(super) const RECOVERY: i64 = CALL / 4;
pub(super) const CUT_PAUSE: i64 = 2;
/// After so many ticks without a request all is full, at the lowest rate and with three calls owed.
const LONGEST_IDLE: i64 = 20;

/// The bucket's values in Redis. A call per tick is the full rate.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Bucket {
    pub(super) level: i64,
    pub(super) rate: i64,
    pub(super) refresh: i64,
    /// The ticks since the values were written; negative after the clock was set back.
    pub(super) idle: i64,
    /// The ticks since the last cut.
    pub(super) since_cut: Option<i64>,
}

/// What a replica asks of the bucket.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Request {
    Reserve,
    Refresh,
    Cut,
}

/// The answer: whether it was done, the time until the call in parts of a tick, and the rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) done: bool,
    pub(super) wait: f64,
    pub(super) rate: i64,
}

impl Bucket {
    pub(super) const FULL: Self =
        Self { level: BURST, rate: CALL, refresh: REFRESH_BURST, idle: 0, since_cut: None };

    /// Runs the script.
    pub(super) fn run(&mut self, request: Request, most_reserved: i64) -> Answer {
        let ticks = self.idle.max(0);
        self.level = BURST.min(self.level + self.rate * ticks);
        let refreshed = REFRESH_SHARE * self.rate / CALL * ticks;
        self.refresh = REFRESH_BURST.min(self.refresh + refreshed);
        self.rate = CALL.min(self.rate + RECOVERY * ticks);
        self.idle = 0;
        let mut answer = Answer { done: true, wait: 0.0, rate: self.rate };
        match request {
            Request::Reserve => {
                let missing = (CALL - self.level).max(0);
                answer.wait = missing as f64 / self.rate as f64;
                self.level = (self.level - CALL).max(-most_reserved * CALL);
            }
            Request::Refresh => {
                answer.done = self.level >= i64::midpoint(BURST, CALL) && self.refresh >= CALL;
                if answer.done {
                    self.level -= CALL;
                    self.refresh -= CALL;
                }
            }
            Request::Cut => {
                (self.level, self.refresh) = (self.level.min(0), 0);
                if self.since_cut.is_none_or(|ticks| ticks.abs() >= CUT_PAUSE) {
                    self.rate = (self.rate / 2).max(FLOOR);
                    self.since_cut = Some(0);
                    answer.rate = self.rate;
                }
            }
        }
        answer
    }

    pub(super) fn pass(&mut self, ticks: i64) {
        self.idle = (self.idle + ticks).min(LONGEST_IDLE);
        self.since_cut = self.since_cut.map(|since| (since + ticks).min(LONGEST_IDLE));
    }
}

/// A replica's reserved call: the ticks until it may be made, and by how many its clock was ahead while it waited.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Reserved {
    due: i64,
    early: i64,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct State<const N: usize> {
    pub(super) redis: Bucket,
    /// The values as the replica of Redis has them, which takes over after a failure.
    standby: Bucket,
    replicas: [Option<Reserved>; N],
    /// The calls to STS in each tick of the last second, the present one first.
    calls: [u8; SECOND],
    /// How often Redis has lost what it had, or its clock was set forward.
    accidents: u8,
}

impl<const N: usize> State<N> {
    /// The calls in the last second.
    pub(super) fn calls_in_a_second(&self) -> i64 {
        self.calls.iter().copied().map(i64::from).sum()
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Action {
    /// A replica has a caller and reserves a call.
    Reserve(usize),
    Refresh(usize),
    Cut,
    /// It makes its call.
    Call(usize),
    /// It dies, or loses the connection on which it reserved: the call is never made.
    Drop(usize),
    /// Time passes; the clocks of this set of bits are ahead by one more tick.
    Tick(u8),
    // What the assumptions exclude.
    Replicate,
    FailOver,
    /// Redis's clock is set, forward or back, by so many ticks.
    Jump(i64),
}

/// What may happen beside reservations and calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct BudgetModel<const N: usize> {
    /// The most calls that the bucket owes: one for each replica that can wait.
    pub(super) most_reserved: i64,
    /// Whether replicas die with reservations, or lose the connections on which they made them.
    pub(super) loses: bool,
    /// The most ticks between the time at which a call may be made and the call: for Redis's answer, and for a replica that
    /// is stopped meanwhile.
    pub(super) latest: i64,
    /// The most ticks by which a replica's clock is ahead during one wait.
    pub(super) earliest: i64,
    /// Whether STS throttles.
    pub(super) is_cut: bool,
    /// The most failovers and jumps of the clock.
    pub(super) accidents: u8,
    pub(super) clock_jump: i64,
}

impl<const N: usize> BudgetModel<N> {
    #[expect(clippy::cast_possible_wrap, reason = "there are few replicas")]
    pub(super) const WITHIN_ASSUMPTIONS: Self = Self {
        most_reserved: N as i64,
        loses: false,
        latest: 0,
        earliest: 0,
        is_cut: false,
        accidents: 0,
        clock_jump: 0,
    };

    /// The most calls in a second within the assumptions.
    ///
    /// Of a second's ticks the first finds what is in the bucket, and each later one adds a call.
    pub(super) fn bound(&self) -> i64 {
        let ticks = i64::try_from(SECOND).unwrap() - 1 + self.latest + self.earliest;
        // At a reduced rate a call's time is between two ticks, and the model makes it in the later one.
        BURST / CALL + ticks + i64::from(self.is_cut)
    }

    fn clocks(&self, state: &State<N>) -> impl Iterator<Item = u8> {
        let ticks = state.replicas.iter().all(|reserved| {
            // A call is made before it is too late.
            reserved.is_none_or(|reserved| reserved.due > -self.latest)
        });
        let may_be_ahead = state
            .replicas
            .map(|reserved| reserved.is_some_and(|r| r.due > 1 && r.early < self.earliest));
        let sets = if ticks { 1 << N } else { 0 };
        (0..sets).filter(move |ahead| {
            (0..N).all(|index| ahead & (1 << index) == 0 || may_be_ahead[index])
        })
    }

    /// The request that Redis runs by this action.
    pub(super) fn request(action: Action) -> Option<Request> {
        match action {
            Action::Reserve(_) => Some(Request::Reserve),
            Action::Refresh(_) => Some(Request::Refresh),
            Action::Cut => Some(Request::Cut),
            _ => None,
        }
    }
}

impl<const N: usize> Model for BudgetModel<N> {
    type State = State<N>;
    type Action = Action;

    fn start(&self) -> State<N> {
        State {
            redis: Bucket::FULL,
            standby: Bucket::FULL,
            replicas: [None; N],
            calls: [0; SECOND],
            accidents: 0,
        }
    }

    fn actions(&self, state: &State<N>) -> Vec<Action> {
        let mut actions = Vec::new();
        for (index, reserved) in state.replicas.iter().enumerate() {
            match reserved {
                None => actions.extend([Action::Reserve(index), Action::Refresh(index)]),
                Some(Reserved { due, .. }) => {
                    if self.loses {
                        actions.push(Action::Drop(index));
                    }
                    if *due <= 0 {
                        actions.push(Action::Call(index));
                    }
                }
            }
        }
        if self.is_cut {
            actions.push(Action::Cut);
        }
        if self.accidents > 0 {
            actions.push(Action::Replicate);
            if state.accidents < self.accidents {
                actions.push(Action::FailOver);
                if self.clock_jump != 0 {
                    actions.extend([Action::Jump(self.clock_jump), Action::Jump(-self.clock_jump)]);
                }
            }
        }
        actions.extend(self.clocks(state).map(Action::Tick));
        actions
    }

    fn next(&self, state: &State<N>, action: Action) -> State<N> {
        let mut state = state.clone();
        match action {
            Action::Reserve(index) | Action::Refresh(index) => {
                let request = Self::request(action).unwrap();
                let answer = state.redis.run(request, self.most_reserved);
                #[expect(clippy::cast_possible_truncation, reason = "a wait is a few ticks")]
                let due = answer.wait.ceil() as i64;
                if answer.done {
                    state.replicas[index] = Some(Reserved { due, early: 0 });
                }
            }
            Action::Cut => {
                state.redis.run(Request::Cut, self.most_reserved);
            }
            Action::Call(index) => {
                state.replicas[index] = None;
                state.calls[0] += 1;
            }
            Action::Drop(index) => state.replicas[index] = None,
            Action::Tick(ahead) => {
                state.redis.pass(1);
                state.standby.pass(1);
                state.calls.rotate_right(1);
                state.calls[0] = 0;
                for (index, reserved) in state.replicas.iter_mut().enumerate() {
                    let early = i64::from(ahead >> index & 1);
                    if let Some(reserved) = reserved {
                        reserved.due -= 1 + early;
                        reserved.early += early;
                    }
                }
            }
            Action::Replicate => state.standby = state.redis,
            Action::FailOver => {
                state.redis = state.standby;
                state.accidents += 1;
            }
            Action::Jump(ticks) => {
                state.redis.pass(ticks);
                state.accidents += 1;
            }
        }
        state
    }

    /// Replicas have no order, and values that time only fills are full after a while.
    fn canonical(&self, mut state: State<N>) -> State<N> {
        state.replicas.sort_unstable();
        for bucket in [&mut state.redis, &mut state.standby] {
            if bucket.since_cut.is_some_and(|since| since >= CUT_PAUSE) {
                bucket.since_cut = None;
            }
        }
        if state.accidents == self.accidents {
            state.standby = Bucket::FULL;
        }
        state
    }
}
