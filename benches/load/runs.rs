//! The runs: each sends requests in its own pattern and reports the results.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use crate::Target;
use crate::connection::{Answer, Connection};
use crate::process::{cpu_micros, memory_mb};

/// The warm-up, which is not measured: connections open, caches fill, branches are learnt.
const WARM_UP: Duration = Duration::from_millis(500);

/// The time limit of a wait.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// The results of the answers.
#[derive(Default)]
struct Tally {
    nanos: Vec<u64>,
    failed: usize,
}

impl Tally {
    fn note(&mut self, answer: &Answer) {
        self.nanos.push(answer.nanos);
        self.failed += usize::from(answer.status != 200);
    }

    /// Median, 99th and 99.9th percentile and longest, in microseconds.
    fn report(mut self) -> String {
        self.nanos.sort_unstable();
        let last = self.nanos.len() - 1;
        let micros = |part: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
            let at = ((last as f64) * part).round() as usize;
            self.nanos[at] as f64 / 1000.0
        };
        format!(
            "answers={} failed={} p50={:.0} p99={:.0} p999={:.0} max={:.0}",
            self.nanos.len(),
            self.failed,
            micros(0.5),
            micros(0.99),
            micros(0.999),
            micros(1.0),
        )
    }
}

/// Each connection sends its next request as soon as it has its answer.
pub(crate) fn closed(target: &Target, connections: usize, seconds: f64, pid: u32) -> String {
    let mut requests = target.requests();
    let mut open = target.open(connections);
    for connection in &mut open {
        connection.send(&requests.next().expect("they do not end"), Instant::now());
    }
    let mut run_for = |duration: Duration| {
        let (mut tally, started) = (Tally::default(), Instant::now());
        // A short run on a busy machine has its first answer late.
        while started.elapsed() < duration || tally.nanos.is_empty() {
            assert!(started.elapsed() < duration + TIME_LIMIT, "no answer after {TIME_LIMIT:?}");
            let mut answered = false;
            for connection in &mut open {
                if let Some(answer) = connection.poll() {
                    answered = true;
                    tally.note(&answer);
                    connection.send(&requests.next().expect("they do not end"), Instant::now());
                }
            }
            if !answered {
                // Keeps spinning, but yields to an emulator on the same core.
                yield_now();
            }
        }
        (tally, started.elapsed())
    };
    run_for(WARM_UP);
    let before = cpu_micros(pid);
    let (tally, took) = run_for(Duration::from_secs_f64(seconds));
    let answers = tally.nanos.len() as f64;
    let cpu = (cpu_micros(pid) - before) / answers;
    let (memory, _) = memory_mb(pid);
    let per_second = answers / took.as_secs_f64();
    format!("per_second={per_second:.0} cpu={cpu:.2} memory={memory:.1} {}", tally.report())
}

/// More tokens than are kept: all are new, and all are new once more. The memory at first, after each round, and at its
/// highest.
pub(crate) fn churn(target: &Target, connections: usize, keys: u64, pid: u32) -> String {
    let mut open = target.open(connections);
    let mut failed = 0;
    let mut round = |keys: u64| {
        let mut requests = (0..keys).zip(target.requests());
        let mut last_answer = Instant::now();
        loop {
            for connection in &mut open {
                if let Some(answer) = connection.poll() {
                    failed += usize::from(answer.status != 200);
                    last_answer = Instant::now();
                }
                if !connection.waits()
                    && let Some((_, request)) = requests.next()
                {
                    connection.send(&request, Instant::now());
                }
            }
            if !open.iter().any(Connection::waits) {
                return settled_memory(pid);
            }
            assert!(last_answer.elapsed() < TIME_LIMIT, "no answer after {TIME_LIMIT:?}");
            yield_now();
        }
    };
    // The connections and their buffers are there from the start.
    let before = round(connections as u64);
    let (once, twice) = (round(keys), round(keys));
    let (_, highest) = memory_mb(pid);
    format!(
        "before={before:.1} once={once:.1} twice={twice:.1} highest={highest:.1} failed={failed}"
    )
}

/// One after the other on one connection.
pub(crate) fn count(target: &Target, requests: u64) -> String {
    let mut connection = target.open(1).pop().expect("one");
    let mut tally = Tally::default();
    for request in target.requests().take(usize::try_from(requests).expect("a bounded number")) {
        connection.send(&request, Instant::now());
        tally.note(&answer_of(&mut connection));
    }
    tally.report()
}

/// All at once, on connections that are open already.
pub(crate) fn herd(target: &Target, connections: usize) -> String {
    let mut open = target.open(connections);
    let started = Instant::now();
    let requests = target.requests();
    for (connection, request) in open.iter_mut().zip(requests) {
        connection.send(&request, Instant::now());
    }
    let tally = all_answers(&mut open);
    format!("took={:.1} {}", millis(started), tally.report())
}

/// New clients, each with a connection of its own, arrive at a fixed rate that does not depend on the server.
pub(crate) fn fleet(target: &Target, clients: u64, per_second: f64) -> String {
    let mut open = Vec::new();
    let mut tally = Tally::default();
    let started = Instant::now();
    let mut arrivals = (0..clients).zip(target.requests()).peekable();
    while arrivals.peek().is_some() || open.iter().any(Connection::waits) {
        let now = Instant::now();
        let due = |number: u64| started + Duration::from_secs_f64(number as f64 / per_second);
        while let Some((_, request)) = arrivals.next_if(|(number, _)| due(*number) <= now) {
            let mut connection = Connection::open(target.address, None);
            connection.send(&request, now);
            open.push(connection);
        }
        for answer in open.iter_mut().filter_map(Connection::poll) {
            tally.note(&answer);
        }
        open.retain(Connection::waits);
        yield_now();
        assert!(started.elapsed() < TIME_LIMIT, "clients still wait after {TIME_LIMIT:?}");
    }
    format!("took={:.1} {}", millis(started), tally.report())
}

/// Apps that have their token and keep the connection open.
pub(crate) fn idle(target: &Target, connections: usize, pid: u32) -> String {
    let mut open = target.open(connections);
    let silent = settled_memory(pid);
    let mut tally = Tally::default();
    for (connection, request) in open.iter_mut().zip(target.requests()) {
        connection.send(&request, Instant::now());
        tally.note(&answer_of(connection));
    }
    let served = settled_memory(pid);
    format!("silent={silent:.1} served={served:.1} {}", tally.report())
}

/// The time from the start of a process to its first successful answer.
pub(crate) fn start(target: &Target, command: &[String]) -> String {
    let (program, arguments) = command.split_first().expect("a command is given");
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command can be run");
    let answered = loop {
        if TcpStream::connect(target.address).is_ok() && one(target).status == 200 {
            break millis(started);
        }
        assert!(started.elapsed() < TIME_LIMIT, "no answer after {TIME_LIMIT:?}");
    };
    child.kill().expect("it runs");
    child.wait().expect("it is ours");
    format!("took={answered:.1}")
}

/// One request, one answer.
pub(crate) fn one(target: &Target) -> Answer {
    let mut connection = target.open(1).pop().expect("one");
    connection.send(&target.request(target.first), Instant::now());
    answer_of(&mut connection)
}

fn answer_of(connection: &mut Connection) -> Answer {
    let started = Instant::now();
    loop {
        if let Some(answer) = connection.poll() {
            return answer;
        }
        yield_now();
        assert!(started.elapsed() < TIME_LIMIT, "no answer after {TIME_LIMIT:?}");
    }
}

fn all_answers(open: &mut [Connection]) -> Tally {
    let (mut tally, started) = (Tally::default(), Instant::now());
    while open.iter().any(Connection::waits) {
        for answer in open.iter_mut().filter_map(Connection::poll) {
            tally.note(&answer);
        }
        assert!(started.elapsed() < TIME_LIMIT, "callers still wait after {TIME_LIMIT:?}");
    }
    tally
}

/// The server's memory after it has processed the requests.
fn settled_memory(pid: u32) -> f64 {
    let mut last = cpu_micros(pid);
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = cpu_micros(pid);
        if now - last < 2000.0 {
            return memory_mb(pid).0;
        }
        last = now;
    }
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
