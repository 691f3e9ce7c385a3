//! The script of the budget does in a real Redis what the model says: random walks of the model, step by step.
//!
//! A walk's time is not that of the clock: it passes when the test moves the times that Redis holds.

use std::collections::HashMap;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;

use super::super::BudgetTerms;
use super::budget_model::{
    Action, BURST, BudgetModel, CALL, CUT_PAUSE, FLOOR, RECOVERY, REFRESH_BURST, REFRESH_SHARE,
    Request,
};
use super::explorer::{Dice, Model};
use super::server::{Server, ask};

/// The seconds of a tick. Real time passes, too, and must be much shorter.
const TICK: f64 = 100_000.0;
/// The lifetime of leases, which no test here takes.
const LEASE: Duration = Duration::from_secs(3);

/// The terms of the model, whose tick is the time of one call.
fn terms() -> BudgetTerms {
    let part = |fixed: i64| fixed as f64 / CALL as f64;
    BudgetTerms {
        per_second: 1.0 / TICK,
        burst: part(BURST),
        refresh_per_second: part(REFRESH_SHARE) / TICK,
        refresh_burst: part(REFRESH_BURST),
        cut: 0.5,
        floor: part(FLOOR),
        recovery: part(RECOVERY) / TICK,
        // Between two ticks: on the tick itself the real time that has passed would decide.
        cut_pause: Duration::from_secs_f64((CUT_PAUSE as f64 - 0.5) * TICK),
    }
}

/// Asserts that two numbers of calls are equal but for the real time that has passed.
fn assert_near(real: f64, model: f64, what: &str) {
    assert!((real - model).abs() < 0.02, "{what}: {real}, the model has {model}");
}

/// Moves the times in the bucket's hash back, so that time has passed.
async fn pass(connection: &mut MultiplexedConnection, key: &str, ticks: i64) {
    for field in ["at", "cut"] {
        let time: Option<f64> = ask(connection, &["HGET", key, field]).await;
        if let Some(time) = time.filter(|time| *time > 0.0) {
            let time = format!("{:.6}", time - ticks as f64 * TICK);
            let _: i64 = ask(connection, &["HSET", key, field, &time]).await;
        }
    }
}

async fn fields(connection: &mut MultiplexedConnection, key: &str) -> HashMap<String, String> {
    ask(connection, &["HGETALL", key]).await
}

#[tokio::test]
async fn the_script_of_the_budget_does_what_the_model_does() {
    const MODEL: BudgetModel<3> = BudgetModel {
        most_reserved: 64,
        loses: true,
        latest: 3,
        is_cut: true,
        accidents: u8::MAX,
        clock_jump: 3,
        ..BudgetModel::WITHIN_ASSUMPTIONS
    };
    let server = Server::start();
    let mut connection = server.connection().await;
    let stores = [server.store(LEASE).await, server.store(LEASE).await, server.store(LEASE).await];
    let name = stores[0].names.budget(None);
    let mut requests = 0;
    for seed in 0..30 {
        let _: i64 = ask(&mut connection, &["DEL", &name.level, &name.waiting]).await;
        let (mut dice, mut state, mut way) = (Dice::new(seed), MODEL.start(), Vec::new());
        let mut standby: HashMap<String, String> = HashMap::new();
        for step in 0..150 {
            let action = dice.choose(&MODEL.actions(&state));
            way.push(action);
            let what = format!("{seed}: {way:?}");
            let mut bucket = state.redis;
            if let Some(request) = BudgetModel::<3>::request(action) {
                let answer = bucket.run(request, MODEL.most_reserved);
                let store = &stores[step % 3];
                match request {
                    Request::Reserve => {
                        let reserved = store.reserve(None, &terms(), 1).await.unwrap();
                        let ticks = reserved.wait.as_secs_f64() / TICK;
                        assert_near(ticks, answer.wait, &what);
                    }
                    Request::Refresh => {
                        let done = store.try_take_for_refresh(None, &terms()).await;
                        assert_eq!(done, Some(answer.done), "{what}");
                    }
                    Request::Cut => store.cut(None, &terms()).await,
                }
                let real = fields(&mut connection, &name.level).await;
                let number = |field: &str| real[field].parse::<f64>().unwrap();
                let part = |fixed: i64| fixed as f64 / CALL as f64;
                assert_near(number("level"), part(bucket.level), &what);
                assert_near(number("rate") * TICK, part(bucket.rate), &what);
                assert_near(number("refresh"), part(bucket.refresh), &what);
                requests += 1;
            }
            match action {
                Action::Tick(_) => {
                    pass(&mut connection, &name.level, 1).await;
                    let other = "standby";
                    write(&mut connection, other, &standby).await;
                    pass(&mut connection, other, 1).await;
                    standby = fields(&mut connection, other).await;
                }
                Action::Jump(ticks) => pass(&mut connection, &name.level, ticks).await,
                Action::Replicate => {
                    standby = fields(&mut connection, &name.level).await;
                }
                Action::FailOver => write(&mut connection, &name.level, &standby).await,
                _ => {}
            }
            state = MODEL.next(&state, action);
        }
    }
    println!("{requests} requests");
    assert!(requests > 200, "{requests}");
}

async fn write(
    connection: &mut MultiplexedConnection,
    key: &str,
    fields: &HashMap<String, String>,
) {
    let _: i64 = ask(connection, &["DEL", key]).await;
    for (field, value) in fields {
        let _: i64 = ask(connection, &["HSET", key, field, value]).await;
    }
}

/// Replicas that die one after the other each leave a reservation behind.
#[tokio::test]
async fn more_lost_reservations_than_replicas_do_not_empty_the_budgets_debt_or_end_a_cut() {
    let server = Server::start();
    let mut connection = server.connection().await;
    let store = server.store(LEASE).await;
    let key = store.names.budget(None).level;
    store.cut(None, &terms()).await;
    let mut waits = Vec::new();
    for _ in 0..70 {
        let reserved = store.reserve(None, &terms(), 1).await.unwrap();
        waits.push((reserved.wait.as_secs_f64() / TICK).round());
    }
    // At half of the rate, and for the most replicas that can wait.
    let expected: Vec<_> = (1..=70).map(|calls| f64::from(calls.min(65)) * 2.0).collect();
    assert_eq!(waits, expected);
    let real = fields(&mut connection, &key).await;
    assert_near(real["rate"].parse::<f64>().unwrap() * TICK, 0.5, "the rate");
    assert_near(real["level"].parse().unwrap(), -64.0, "the level");
}
