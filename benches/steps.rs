//! The steps of a request one by one: `cargo bench --features bench`. Limits that replicas share need `redis-server`.

use std::hint::black_box;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use appserver::bench::{SharedLimits, Steps};
use appserver_domain::clock::Clock;
use appserver_emulator::demo_jwt;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn steps(criterion: &mut Criterion) {
    let now = Clock::system().now();
    let steps = Steps::new(now);
    criterion.bench_function("secret check", |b| b.iter(|| black_box(&steps).secret_check()));
    let cached = format!("Bearer {}", demo_jwt("alice", now));
    criterion
        .bench_function("user token, cached", |b| b.iter(|| assert!(steps.user_token(&cached))));
    let mut user = 0_u64;
    let mut new = || {
        user += 1;
        format!("Bearer {}", demo_jwt(&format!("user-{user}"), now))
    };
    criterion.bench_function("user token, new", |b| {
        b.iter_batched(&mut new, |token| assert!(steps.user_token(&token)), BatchSize::SmallInput);
    });
    criterion.bench_function("template render", |b| b.iter(|| black_box(&steps).template_render()));
    criterion.bench_function("own policy", |b| b.iter(|| black_box(&steps).own_policy()));
    criterion.bench_function("own policy, second proof", |b| {
        b.iter(|| assert!(black_box(&steps).second_proof()));
    });
    criterion.bench_function("key", |b| b.iter(|| black_box(&steps).key()));
    criterion.bench_function("hit", |b| b.iter(|| black_box(&steps).hit()));
    criterion.bench_function("grant session, hit", |b| {
        b.iter(|| black_box(&steps).grant_session_hit());
    });
    // One for the caller's token and one for the grant, however many users had something signed.
    assert_eq!(steps.sts_calls(), 2);
    criterion.bench_function("signing", |b| b.iter(|| black_box(&steps).signing()));
    criterion.bench_function("response", |b| b.iter(|| black_box(&steps).response()));
    criterion.bench_function("span, not sampled", |b| b.iter(|| steps.span(black_box(false))));
    criterion.bench_function("span, recorded", |b| b.iter(|| steps.span(black_box(true))));
}

fn shared_limits(criterion: &mut Criterion) {
    let Some(redis) = RedisServer::start() else { return };
    let limits = SharedLimits::new(&redis.url());
    criterion.bench_function("shared limit, 50 at a time", |b| {
        b.iter(|| assert!(black_box(&limits).reserved()));
    });
    criterion.bench_function("shared limit, one at a time", |b| {
        b.iter(|| assert!(black_box(&limits).one_by_one()));
    });
}

/// A redis-server on loopback, which ends with this value.
struct RedisServer {
    child: Child,
    port: u16,
}

impl RedisServer {
    #[expect(
        clippy::print_stderr,
        reason = "a row that is missing has its reason beside the others"
    )]
    fn start() -> Option<Self> {
        let any = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = any.local_addr().expect("it is bound").port();
        drop(any);
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("the rows of shared limits are left out: redis-server is not installed");
                return None;
            }
            Err(error) => panic!("redis-server cannot be started: {error}"),
        };
        let server = Self { child, port };
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not answer after 5 seconds");
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

criterion_group!(benches, steps, shared_limits);
criterion_main!(benches);
