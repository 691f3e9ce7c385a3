//! The scripts of the lease do in a real Redis what the model says: random walks of the model, step by step.
//!
//! A walk's time is not that of the clock: it passes when the test shortens the times that values have left.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::cmd;
use chrono::TimeDelta;

use super::super::{CallResult, Lease, LeaseState, Name, Redis};
use super::explorer::{Dice, Model};
use super::lease_model::{Action, LeaseModel};
use super::lease_script::{
    Answer, Holding, LEASE, LeaseId, Outcome, REFUSAL, Request, TOKEN, Values,
};
use super::server::{Server, ask};
use appserver_domain::clock::Clock;
use appserver_domain::{AssumedRoleUser, Credentials};

/// Real time passes, too, and must be much shorter. A refusal lives for a minute at most.
const TICK: Duration = Duration::from_secs(50);
const REFUSAL_CODE: &str = "NoPermission";

fn credentials() -> Credentials {
    let (user, now) = ("acs:ram::1:assumed-role/app/walk".to_owned(), Clock::system().now());
    let text = |text: &str| text.to_owned().into();
    let user = AssumedRoleUser { arn: user, id: "1:walk".to_owned() };
    let until = now + TimeDelta::hours(11);
    Credentials::new("STS.walk".to_owned(), text("secret"), text("token"), now, until, user)
        .unwrap()
}

fn ticks(millis: u128) -> u8 {
    u8::try_from(millis.div_ceil(TICK.as_millis())).unwrap()
}

/// A session's keys in a real Redis, as the model's values.
struct RealValues {
    connection: MultiplexedConnection,
    keys: [String; 3],
    /// A copy of each key's value, with the ticks that it has left.
    standby: [Option<(Vec<u8>, u8)>; 3],
    ids: HashMap<LeaseId, String>,
}

impl RealValues {
    async fn read(&mut self) -> [Option<(Vec<u8>, u8)>; 3] {
        let mut values = [None, None, None];
        for (value, key) in values.iter_mut().zip(&self.keys) {
            let left: i64 = ask(&mut self.connection, &["PTTL", key]).await;
            if let Ok(left) = u128::try_from(left) {
                *value = Some((ask(&mut self.connection, &["GET", key]).await, ticks(left)));
            }
        }
        values
    }

    async fn write(&mut self, values: &[Option<(Vec<u8>, u8)>; 3]) {
        for (value, key) in values.iter().zip(&self.keys) {
            let mut command = cmd("DEL");
            command.arg(key);
            if let Some((value, left)) = value {
                let millis = TICK.as_millis() * u128::from(*left);
                command = cmd("SET");
                command.arg(key).arg(value).arg("PX").arg(u64::try_from(millis).unwrap());
            }
            let () = command.query_async(&mut self.connection).await.unwrap();
        }
    }

    fn pass(values: &mut [Option<(Vec<u8>, u8)>; 3], ticks: u8) {
        for value in values {
            *value = value.take().and_then(|(bytes, left)| Some((bytes, left.checked_sub(ticks)?)));
            value.take_if(|(_, left)| *left == 0);
        }
    }

    async fn pass_here(&mut self, ticks: u8) {
        let mut values = self.read().await;
        Self::pass(&mut values, ticks);
        self.write(&values).await;
    }

    /// What Redis holds, in the words of the model.
    async fn values(&mut self) -> Values {
        let [token, refusal, lease] = self.read().await;
        let left = |value: Option<(Vec<u8>, u8)>| value.map_or(0, |(_, left)| left);
        let lease = lease.map(|(value, left)| {
            let id = self.ids.iter().find(|(_, id)| id.as_bytes() == value).unwrap();
            (*id.0, left)
        });
        Values { token: left(token), refusal: left(refusal), lease }
    }

    /// Runs a request by the store, and returns the answer in the words of the model.
    async fn run(&mut self, store: &Redis, name: &Name, request: Request) -> Option<Answer> {
        let (Request::Take(id) | Request::Renew(id) | Request::Complete(id, _)) = request;
        let id = self.ids.entry(id).or_insert_with(Lease::new_id).clone();
        let lease = Lease { name: name.clone(), id: id.clone() };
        match request {
            Request::Take(_) => {
                let state = store.read(name, "take", id).await.unwrap();
                let token = state.token.map_or(0, |token| ticks(token.left.as_millis()));
                let refusal = state.refusal.map_or(0, |refusal| {
                    assert_eq!(refusal.value, REFUSAL_CODE);
                    ticks(refusal.left.as_millis())
                });
                let holder = match state.lease {
                    LeaseState::Ours(_) => Holding::Ours,
                    LeaseState::OtherReplica(left) => Holding::Other(ticks(left.as_millis())),
                    LeaseState::Free => panic!("a lease that was asked for is held"),
                };
                return Some(Answer { token, refusal, holder });
            }
            Request::Renew(_) => store.renew(&lease).await,
            Request::Complete(_, outcome) => {
                let credentials = credentials();
                let result = match outcome {
                    Outcome::Token => CallResult::Token(&credentials, TICK * TOKEN.into()),
                    Outcome::Refusal => CallResult::Refusal(REFUSAL_CODE, TICK * REFUSAL.into()),
                    Outcome::NotShared => CallResult::NotShared,
                };
                store.complete(lease, result).await;
            }
        }
        None
    }
}

/// What a request found: each of these must occur, or the walks show nothing.
fn situation(before: Values, request: Request) -> (&'static str, bool, bool) {
    let (Request::Take(id) | Request::Renew(id) | Request::Complete(id, _)) = request;
    let kind = match request {
        Request::Take(_) => "take",
        Request::Renew(_) => "renew",
        Request::Complete(..) => "complete",
    };
    let held = before.lease.map(|(held, _)| held);
    (kind, held == Some(id), held.is_some_and(|held| held != id))
}

/// The actions as often as a walk is to choose them: mostly what keeps calls going.
fn often(actions: &[Action]) -> Vec<Action> {
    let often = |action: &Action| match action {
        Action::Run(_) | Action::Receive(_) | Action::Renew(_) => 8,
        Action::Tick(0) => 6,
        Action::Ask(_) | Action::RunOrphan(_) | Action::TimeOut(_) => 2,
        _ => 1,
    };
    actions.iter().flat_map(|action| std::iter::repeat_n(*action, often(action))).collect()
}

#[tokio::test]
async fn the_scripts_of_the_lease_do_what_the_model_does() {
    const MODEL: LeaseModel<3> = LeaseModel {
        most_orphans: 3,
        longest_stop: 8,
        is_slow: true,
        fails_over: true,
        clock_jump: 2,
        ..LeaseModel::WITHIN_ASSUMPTIONS
    };
    let server = Server::start();
    let connection = server.connection().await;
    let stores = [server.store(TICK * LEASE.into()).await, server.store(TICK * LEASE.into()).await];
    let mut situations = BTreeSet::new();
    let mut requests = 0;
    for seed in 0..30 {
        let name = stores[0].name(&["session", &seed.to_string()]);
        let keys = [name.token.clone(), name.refusal.clone(), name.lease.clone()];
        let mut real = RealValues {
            connection: connection.clone(),
            keys,
            standby: [None, None, None],
            ids: HashMap::new(),
        };
        let (mut dice, mut state, mut way) = (Dice::new(seed), MODEL.start(), Vec::new());
        for step in 0..300 {
            let action = dice.choose(&often(&MODEL.actions(&state)));
            way.push(action);
            let after = MODEL.next(&state, action);
            if let Some(request) = LeaseModel::request(&state, action) {
                let answer = real.run(&stores[step % 2], &name, request).await;
                assert_eq!(answer, state.redis.clone().run(request), "{seed}: {way:?}");
                situations.insert(situation(state.redis, request));
                requests += 1;
            }
            match action {
                Action::Tick(_) => {
                    real.pass_here(1).await;
                    RealValues::pass(&mut real.standby, 1);
                }
                Action::JumpForward(ticks) => real.pass_here(ticks).await,
                Action::Replicate => real.standby = real.read().await,
                Action::FailOver => {
                    let standby = real.standby.clone();
                    real.write(&standby).await;
                }
                _ => {}
            }
            assert_eq!(real.values().await, after.redis, "{seed}: {way:?}");
            state = after;
        }
    }
    println!("{requests} requests: {situations:?}");
    // Each script with a lease of its own, with another's and with none.
    assert_eq!(situations.len(), 9, "{situations:?}");
}
