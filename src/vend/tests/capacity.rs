//! The model of `appserver plan-capacity` against the engine: phones that come and go for days of virtual time.
//!
//! Phones and quota are divided by the same number, which changes no share and no wait.

use std::collections::{BTreeMap, HashMap};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::capacity::{CapacityPlan, Fleet, GrantMix, Queue};

const DAY_SECS: u64 = 86_400;
const TWO_HOURS_SECS: u64 = 7_200;
const MINUTE_SECS: u64 = 60;
/// How far model and engine may differ.
const TOLERANCE: f64 = 0.1;
/// The same for waits, because callers are not served strictly in the order in which they came.
const TOLERANCE_OF_WAITS: f64 = 0.15;

struct Scenario {
    phones: u64,
    grants: GrantMix,
    token_secs: u32,
    sessions_a_day: f64,
    session_minutes: f64,
    peak_hour_percent: f64,
    /// Calls a second.
    quota: u32,
    /// One simulated phone stands for so many.
    scale: u32,
    /// Days before the one that is measured.
    warm_up_days: u64,
}

/// What a day came to, for all phones.
#[derive(Debug, Default)]
struct Measured {
    mean_calls: f64,
    /// Calls a second of the busiest two hours.
    peak_calls: f64,
    longest_queue: f64,
    longest_wait: f64,
}

/// The phones of a simulation.
#[derive(Clone)]
struct Phones {
    harness: Harness,
    /// The sessions that wait for a token of each name.
    waiting: Arc<Mutex<HashMap<String, usize>>>,
    /// When the first caller of a token asked for it, in whole seconds, and how long it waited.
    waits: Arc<Mutex<Vec<(u64, f64)>>>,
    begun: Instant,
}

impl Phones {
    /// Asks for a token of this name, uses the app for so many seconds, and asks for another one when the answer says so.
    async fn session(self, name: String, lasts: f64) {
        let session = session(&name);
        let mut end = f64::INFINITY;
        while self.now() <= end {
            let (asked, asked_at) = (self.begun.elapsed().as_secs(), Instant::now());
            let is_first = self.begin_to_wait(&name);
            let vended = loop {
                match self.harness.vend_within("app-one", &session, secs(15)).await {
                    Ok(vended) => break vended,
                    Err(VendError::Overloaded { retry_after }) => {
                        let jitter = retry_after.min(secs(30)).mul_f64(rand::random::<f64>() / 2.0);
                        sleep(secs((retry_after + jitter).as_secs() + 1)).await;
                    }
                    Err(VendError::TimedOut) => {}
                    Err(error) => panic!("{error:?}"),
                }
            };
            self.end_to_wait(&name);
            end = end.min(self.now() + lasts);
            if is_first && vended.source == TokenSource::Issued {
                let waited = asked_at.elapsed().as_secs_f64();
                self.waits.lock().unwrap().push((asked, waited));
            }
            let epoch: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().unwrap();
            let next = (vended.refresh_after - epoch).to_std().unwrap();
            sleep_until(self.begun + next).await;
        }
    }

    /// Returns whether nobody else waits for a token of this name.
    fn begin_to_wait(&self, name: &str) -> bool {
        let mut waiting = self.waiting.lock().unwrap();
        let sessions = waiting.entry(name.to_owned()).or_default();
        *sessions += 1;
        *sessions == 1
    }

    fn end_to_wait(&self, name: &str) {
        let mut waiting = self.waiting.lock().unwrap();
        match waiting.get_mut(name) {
            Some(sessions) if *sessions > 1 => *sessions -= 1,
            Some(_) | None => drop(waiting.remove(name)),
        }
    }

    fn now(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}

impl Scenario {
    fn fleet(&self) -> Fleet {
        let sessions = (self.sessions_a_day, self.session_minutes);
        let percent = self.peak_hour_percent;
        Fleet::new(self.phones, self.grants, self.token_secs, sessions, percent).unwrap()
    }

    /// When the sessions of one day begin, in order.
    fn arrivals(&self, random: &mut StdRng) -> Vec<f64> {
        let fleet = self.fleet();
        let sessions = self.phones as f64 * self.sessions_a_day / f64::from(self.scale);
        let mut arrivals = vec![];
        let mut due = 0.0;
        for second in 0..DAY_SECS {
            due += sessions * fleet.share_a_second(second as f64);
            while due >= 1.0 {
                due -= 1.0;
                // Anywhere within some minutes, so that they come as independent ones do.
                let at = second as f64 + random.random::<f64>() * 300.0;
                arrivals.push(at.min(DAY_SECS as f64 - 1.0));
            }
        }
        arrivals.sort_by(f64::total_cmp);
        arrivals
    }

    async fn measure(&self) -> Measured {
        let scale = f64::from(self.scale);
        let budget = self.quota * 9 / 10;
        let per_second = budget.div_ceil(self.scale);
        let harness = harness_with(|settings| {
            settings.budget.per_second = per_second;
            settings.budget.refresh_share *= f64::from(budget) / f64::from(per_second * self.scale);
            // Fewer calls come less evenly, and must not wait for that.
            settings.budget.burst = 10;
            settings.max_waiting = 1_000_000;
        });
        harness.sts.set(|sts| sts.life = Some(TimeDelta::seconds(self.token_secs.into())));
        let phones = Phones {
            harness: harness.clone(),
            waiting: Arc::default(),
            waits: Arc::default(),
            begun: Instant::now(),
        };
        let mut random = StdRng::seed_from_u64(16);
        let users = self.phones / u64::from(self.scale);
        let mut waiting = BTreeMap::<u64, usize>::new();
        for day in 0..=self.warm_up_days {
            for arrival in self.arrivals(&mut random) {
                let at = arrival + (day * DAY_SECS) as f64;
                while phones.now() < at {
                    let next = at.min((phones.now() / 10.0).floor() * 10.0 + 10.0);
                    sleep_until(phones.begun + Duration::from_secs_f64(next)).await;
                    let queue = phones.waiting.lock().unwrap().len();
                    waiting.insert(phones.begun.elapsed().as_secs() / MINUTE_SECS, queue);
                }
                let user = random.random_range(0..users);
                let lasts = -60.0 * self.session_minutes * (1.0 - random.random::<f64>()).ln();
                for grant in 0..self.grants.user {
                    let name = format!("user-{user}-{grant}");
                    tokio::spawn(phones.clone().session(name, lasts));
                }
                for grant in 0..self.grants.shared {
                    let name = format!("shared-{grant}");
                    tokio::spawn(phones.clone().session(name, lasts));
                }
            }
        }
        let measured = self.warm_up_days * DAY_SECS..(self.warm_up_days + 1) * DAY_SECS;
        sleep_until(phones.begun + secs(measured.end)).await;
        let calls = harness.sts.times();
        let within = |from: u64, secs: u64| {
            let range = from as f64..(from + secs) as f64;
            calls.iter().filter(|at| range.contains(at)).count() as f64 / secs as f64 * scale
        };
        let busiest = (0..DAY_SECS - TWO_HOURS_SECS)
            .step_by(900)
            .map(|later| within(measured.start + later, TWO_HOURS_SECS));
        // Of five minutes each.
        let mut waits = BTreeMap::<u64, Vec<f64>>::new();
        for (asked, waited) in &*phones.waits.lock().unwrap() {
            if !measured.contains(asked) {
                continue;
            }
            waits.entry(*asked / (5 * MINUTE_SECS)).or_default().push(*waited);
        }
        let mean = |waits: &Vec<f64>| waits.iter().sum::<f64>() / waits.len() as f64;
        let waiting = waiting.range(measured.start / MINUTE_SECS..);
        Measured {
            mean_calls: within(measured.start, DAY_SECS),
            peak_calls: busiest.fold(0.0, f64::max),
            longest_queue: waiting.map(|(_, n)| *n).max().unwrap() as f64 * scale,
            longest_wait: waits.values().map(mean).fold(0.0, f64::max),
        }
    }

    /// Returns the plan if the engine agrees with it.
    async fn compare(&self) -> CapacityPlan {
        let plan = CapacityPlan::new(&self.fleet(), self.quota);
        let measured = self.measure().await;
        let Queue { callers, wait_secs, .. } = plan.queue;
        for (what, model, engine, tolerance) in [
            ("calls of STS a second", plan.made.mean, measured.mean_calls, TOLERANCE),
            ("the same at the peak", plan.made.peak, measured.peak_calls, TOLERANCE),
            ("callers in the queue", callers, measured.longest_queue, TOLERANCE),
            ("seconds that one waits", wait_secs, measured.longest_wait, TOLERANCE_OF_WAITS),
        ] {
            println!("{} phones, {what}: model {model:.1}, engine {engine:.1}", self.phones);
            // Where there is no queue, a call still takes its time.
            let is_idle = model == 0.0 && callers == 0.0;
            let agrees = is_idle || (model / engine - 1.0).abs() < tolerance;
            assert!(agrees, "{what}: model {model}, engine {engine}");
        }
        assert!(callers > 0.0 || measured.longest_wait < 1.0, "{measured:?}");
        plan
    }
}

const EACH: GrantMix = GrantMix { user: 1, shared: 0, upload: 0 };

/// A token of an hour for each user, and a queue of ten minutes at the worst time.
#[tokio::test(start_paused = true)]
async fn the_model_of_1_million_phones_agrees_with_the_engine() {
    let plan = Scenario {
        phones: 1_000_000,
        grants: EACH,
        token_secs: 3600,
        sessions_a_day: 3.0,
        session_minutes: 10.0,
        peak_hour_percent: 16.5,
        quota: 100,
        scale: 90,
        warm_up_days: 0,
    }
    .compare()
    .await;
    assert!(plan.queue.wait_secs > 500.0 && plan.queue.drains, "{:?}", plan.queue);
}

/// Tokens of twelve hours, most of which are refreshed ahead, and no queue.
#[tokio::test(start_paused = true)]
async fn the_model_of_10_million_phones_agrees_with_the_engine() {
    let plan = Scenario {
        phones: 10_000_000,
        grants: GrantMix { shared: 1, ..EACH },
        token_secs: 43_200,
        sessions_a_day: 4.0,
        session_minutes: 10.0,
        peak_hour_percent: 10.0,
        quota: 3_000,
        scale: 2_400,
        warm_up_days: 1,
    }
    .compare()
    .await;
    assert_eq!(plan.queue.callers, 0.0);
}

/// Tokens of a quarter of an hour, which half of the sessions outlive, and a queue.
#[tokio::test(start_paused = true)]
async fn the_model_of_100_million_phones_agrees_with_the_engine() {
    let plan = Scenario {
        phones: 100_000_000,
        grants: EACH,
        token_secs: 900,
        sessions_a_day: 1.0,
        session_minutes: 10.0,
        peak_hour_percent: 16.0,
        quota: 5_000,
        scale: 4_500,
        warm_up_days: 0,
    }
    .compare()
    .await;
    assert!(plan.queue.wait_secs > 500.0 && plan.queue.drains, "{:?}", plan.queue);
}
