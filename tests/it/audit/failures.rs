//! A slow, full or missing sink under load has the configured effect, and the service recovers by itself.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{answered, crowd, decisions, lines, metric, outcomes, refused, to_file, until, vended};
use crate::stage::{Answer, Setting, Stage, secret};

/// The kernel's buffer of an unread pipe, some hundred lines.
const PIPE: usize = 64 * 1024;

async fn staged(path: &Path, more: &str) -> Stage {
    let config = to_file(path, more);
    Stage::set(Setting { config: &config, ..Setting::default() }).await
}

fn unavailable_text() -> [&'static str; 2] {
    ["audit_down", "\"Reason\":\"AuditUnavailable\""]
}

/// A path that leads to a full disk until `repair`.
struct FullDisk {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl FullDisk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        symlink("/dev/full", &path).unwrap();
        Self { folder, path }
    }

    fn repair(&self) {
        let good = self.folder.path().join("good");
        File::create(&good).unwrap();
        std::fs::rename(good, &self.path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_no_token_leaves_without_its_line() {
    let disk = FullDisk::new();
    let stage = staged(&disk.path, "").await;
    // They have waited for their lines, and no token has left.
    let mut answers = crowd(&stage, 50).await;
    assert_eq!(outcomes(&answers), [("503 AuditUnavailable".to_owned(), 50)].into());
    until("the failure is known", async || stage.admin("/readyz").await.0 == 503).await;
    let (_, ready) = stage.admin("/readyz").await;
    assert!(unavailable_text().iter().all(|part| ready.contains(part)), "{ready}");
    assert_eq!(metric(&stage, "appserver_audit_up").await, 0);

    let calls = stage.assume_role_calls().len();
    let began = Instant::now();
    let denied = crowd(&stage, 200).await;
    assert_eq!(outcomes(&denied), [("503 AuditUnavailable".to_owned(), 200)].into());
    assert!(denied.iter().all(|answer| answer.headers.contains_key("retry-after")));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(stage.assume_role_calls().len(), calls, "a token was fetched that cannot leave");
    // Other requests are served.
    assert_eq!(stage.get("client-002", "/v1/whoami").await.status, 200);
    assert_eq!(stage.get("client-002", "/v1/token?Grant=x").await.outcome(), "403 Forbidden.Grant");

    disk.repair();
    until("it is ready again", async || {
        stage.admin("/readyz").await == (200, r#"{"Status":"ready"}"#.into())
    })
    .await;
    answers.extend(denied);
    answers.extend(crowd(&stage, 50).await);
    assert_eq!(metric(&stage, "appserver_audit_lines_lost_total").await, 0);
    stage.close().await;
    let lines = lines(&disk.path);
    assert_eq!(vended(&lines), answered(&answers));
    assert_eq!(vended(&lines).len(), 50);
    let taken_back = lines.iter().filter(|line| line["Decision"] == "Failed").count();
    assert!((1..=50).contains(&taken_back), "{taken_back}");
    assert_eq!(lines.len(), 50 + 2 * taken_back, "a line that was taken back, and what does so");
    let others = decisions(&refused(&disk.path));
    assert_eq!(others + taken_back as u64, 251, "the 403 included");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_tokens_leave_if_so_configured_and_lost_lines_are_counted() {
    let disk = FullDisk::new();
    let stage = staged(&disk.path, "on_failure = \"continue\"\nbuffer_lines = 100").await;
    let mut answers = crowd(&stage, 250).await;
    until("it shows", async || stage.admin("/readyz").await.1.contains("audit_down")).await;
    assert_eq!(stage.admin("/readyz").await.0, 200);
    answers.extend(crowd(&stage, 50).await);
    assert_eq!(outcomes(&answers), [("200 Success".to_owned(), 300)].into());
    let lost = metric(&stage, "appserver_audit_lines_lost_total").await;
    assert_eq!((lost, metric(&stage, "appserver_audit_queue_length").await), (200, 100));

    disk.repair();
    until("all is written", async || metric(&stage, "appserver_audit_queue_length").await == 0)
        .await;
    assert_eq!(metric(&stage, "appserver_audit_up").await, 1);
    answers.extend(crowd(&stage, 20).await);
    stage.close().await;
    let (written, answered) = (vended(&lines(&disk.path)), answered(&answers));
    assert_eq!(written.len(), 120);
    assert!(written.iter().all(|(id, times)| *times == 1 && answered.contains_key(id)));
}

/// A named pipe.
fn fifo(folder: &Path) -> PathBuf {
    let path = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// Opens the pipe for reading at once, without waiting for a writer.
fn reader(path: &Path) -> File {
    const O_NONBLOCK: i32 = 0o4000;
    OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path).unwrap()
}

/// Reads the pipe until it is stopped, a number of bytes at a time with a pause between.
struct Reading {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<u8>>,
}

impl Reading {
    fn of(mut pipe: File, at_once: usize, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut all, mut buffer) = (Vec::new(), vec![0; at_once]);
            loop {
                let ending = stopped.load(Ordering::Relaxed);
                match pipe.read(&mut buffer) {
                    Ok(0) | Err(_) if ending => return all,
                    Ok(0) | Err(_) => std::thread::sleep(Duration::from_millis(5)),
                    Ok(read) => all.extend_from_slice(&buffer[..read]),
                }
                std::thread::sleep(pause);
            }
        });
        Self { stop, thread }
    }

    fn all(self, folder: &Path) -> Vec<serde_json::Value> {
        self.stop.store(true, Ordering::Relaxed);
        let read = folder.join("read");
        std::fs::write(&read, self.thread.join().unwrap()).unwrap();
        lines(&read)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_pipe_delays_no_caller_and_gets_its_lines_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = fifo(folder.path());
    let pipe = reader(&path);
    let stage = staged(&path, "buffer_lines = 100").await;
    let began = Instant::now();
    let mut answers = crowd(&stage, 600).await;
    let served = answered(&answers).len();
    // As much as the pipe holds, and then no more.
    assert!((40..300).contains(&served), "{served}");
    let denied = outcomes(&answers)["503 AuditUnavailable"];
    assert_eq!(served + denied, 600);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    until("the stall is known", async || stage.admin("/readyz").await.0 == 503).await;
    let began = Instant::now();
    answers.extend(crowd(&stage, 100).await);
    assert_eq!(stage.get("client-002", "/v1/whoami").await.status, 200);
    // No request waits for space any more.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());

    let reading = Reading::of(pipe, PIPE, Duration::ZERO);
    until("it is ready again", async || stage.admin("/readyz").await.0 == 200).await;
    answers.extend(crowd(&stage, 20).await);
    assert_eq!(answered(&answers).len(), served + 20);
    stage.close().await;
    assert_eq!(vended(&reading.all(folder.path())), answered(&answers));
}

/// The reader of the lines gets no CPU for a second. Requests are delayed, and none fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_pauses_for_a_second_costs_no_request_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = fifo(folder.path());
    let pipe = reader(&path);
    let stage = staged(&path, "buffer_lines = 10").await;
    let paused = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Reading::of(pipe, PIPE, Duration::ZERO)
    };
    let (answers, reading) = tokio::join!(crowd(&stage, 400), paused);
    assert_eq!(outcomes(&answers), [("200 Success".to_owned(), 400)].into());
    stage.close().await;
    assert_eq!(vended(&reading.all(folder.path())), answered(&answers));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_pipe_loses_lines_and_delays_no_caller_if_so_configured() {
    let folder = tempfile::tempdir().unwrap();
    let path = fifo(folder.path());
    let pipe = reader(&path);
    let stage = staged(&path, "on_failure = \"continue\"\nbuffer_lines = 100").await;
    let answers = crowd(&stage, 600).await;
    assert_eq!(outcomes(&answers), [("200 Success".to_owned(), 600)].into());
    until("the stall is known", async || stage.admin("/readyz").await.1.contains("audit_down"))
        .await;
    assert_eq!(stage.admin("/readyz").await.0, 200);
    let lost = metric(&stage, "appserver_audit_lines_lost_total").await;
    let reading = Reading::of(pipe, PIPE, Duration::ZERO);
    until("all is written", async || metric(&stage, "appserver_audit_queue_length").await == 0)
        .await;
    stage.close().await;
    let written = vended(&reading.all(folder.path()));
    assert!(lost > 100, "{lost}");
    assert_eq!(written.len() as u64 + lost, 600);
}

/// Some 200 KB a second, and no request is refused: they wait briefly for space.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_every_line_of_every_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = fifo(folder.path());
    let reading = Reading::of(reader(&path), 4096, Duration::from_millis(10));
    let stage = staged(&path, "buffer_lines = 50").await;
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.extend(crowd(&stage, 60).await);
    }
    let (served, lost) =
        (answered(&answers), metric(&stage, "appserver_audit_lines_lost_total").await);
    assert!(served.len() > 300, "{}", served.len());
    assert_eq!(stage.admin("/readyz").await.0, 200, "slow is not broken");
    stage.close().await;
    let lines = reading.all(folder.path());
    assert_eq!(vended(&lines), served);
    let vended = lines.iter().filter(|line| line["Decision"] == "Vended").count();
    let taken_back = vended - served.len();
    assert_eq!(decisions(&lines) - taken_back as u64 + lost, 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_pipes_reader_ends_its_lines_go_to_the_next_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = fifo(folder.path());
    let first = Reading::of(reader(&path), PIPE, Duration::ZERO);
    let stage = staged(&path, "").await;
    let mut answers = crowd(&stage, 20).await;
    until("all is read", async || {
        metric(&stage, "appserver_audit_lines_written_total").await == 20
    })
    .await;
    let mut read = first.all(folder.path());

    answers.extend(crowd(&stage, 1).await);
    until("the loss is known", async || stage.admin("/readyz").await.0 == 503).await;
    let denied = crowd(&stage, 50).await;
    assert_eq!(outcomes(&denied), [("503 AuditUnavailable".to_owned(), 50)].into());

    let second = Reading::of(reader(&path), PIPE, Duration::ZERO);
    until("it is ready again", async || stage.admin("/readyz").await.0 == 200).await;
    answers.extend(denied);
    answers.extend(crowd(&stage, 20).await);
    stage.close().await;
    read.extend(second.all(folder.path()));
    assert_eq!(vended(&read), answered(&answers));
    assert_eq!(read.len(), 92, "the one whose line could not be written, and was taken back");
}

/// As if a volume is not mounted yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_audit_cannot_be_opened_is_not_ready_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("not-there-yet/audit.jsonl");
    let stage = staged(&path, "").await;
    let (status, text) = stage.admin("/readyz").await;
    assert_eq!(status, 503, "{text}");
    let request = stage.request("GET", "/v1/token");
    let request = request.basic_auth("client-002", Some(secret("client-002")));
    assert_eq!(stage.send(request).await.outcome(), "503 AuditUnavailable");
    assert_eq!(stage.assume_role_calls(), []);
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    until("it is ready", async || stage.admin("/readyz").await.0 == 200).await;
    let served = crowd(&stage, 5).await;
    stage.close().await;
    assert_eq!(vended(&lines(&path)), answered(&served));
    assert_eq!(refused(&path)[0]["Code"], "AuditUnavailable");
}

/// The shutdown takes a bounded time and reports what it could not write.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_a_bounded_time_for_the_last_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = fifo(folder.path());
    let slow = Reading::of(reader(&path), 4096, Duration::from_millis(10));
    let stage = staged(&path, "").await;
    let answers = crowd(&stage, 400).await;
    stage.close().await;
    assert_eq!(vended(&slow.all(folder.path())), answered(&answers));

    let disk = FullDisk::new();
    let stage = staged(&disk.path, "").await;
    crowd(&stage, 3).await;
    let (start, began) = (crate::logs::since(0).len(), Instant::now());
    stage.close().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let log = crate::logs::since(start);
    assert!(log.contains("audit lines could not be written before the stop"), "{log}");
}

/// A number of tickets, requested at once.
async fn tickets(stage: &Stage, count: usize) -> Vec<Answer> {
    let request = || {
        let request = stage.request("POST", "/v1/tickets");
        stage.send(request.basic_auth("client-002", Some(secret("client-002"))))
    };
    futures_util::future::join_all((0..count).map(|_| request())).await
}

/// A ticket vends tokens for a day, so it is recorded as they are.
#[tokio::test(flavor = "multi_thread")]
async fn no_ticket_leaves_without_its_line() {
    // The state of the disk is not known yet when the first ticket is made.
    let disk = FullDisk::new();
    let stage = staged(&disk.path, "").await;
    let made = tickets(&stage, 1).await;
    assert_eq!(outcomes(&made), [("503 AuditUnavailable".to_owned(), 1)].into());
    assert_eq!(made[0].body.get("Url"), None);
    disk.repair();
    until("it is ready again", async || stage.admin("/readyz").await.0 == 200).await;
    let more = tickets(&stage, 3).await;
    stage.close().await;
    assert_eq!(vended(&lines(&disk.path)), answered(&more));

    // The queue is full before the hanging reader of the pipe is detected.
    for durability in ["queue", "process"] {
        let folder = tempfile::tempdir().unwrap();
        let path = fifo(folder.path());
        let pipe = reader(&path);
        let more = format!("durability = \"{durability}\"\nbuffer_lines = 10");
        let stage = staged(&path, &more).await;
        let mut made = Vec::new();
        for _ in 0..20 {
            made.extend(tickets(&stage, 20).await);
        }
        assert!(outcomes(&made)["503 AuditUnavailable"] > 50, "{durability}");
        let reading = Reading::of(pipe, PIPE, Duration::ZERO);
        until("it is ready again", async || stage.admin("/readyz").await.0 == 200).await;
        stage.close().await;
        assert_eq!(vended(&reading.all(folder.path())), answered(&made), "{durability}");
    }
}

/// A token waits for the queue or for the disk, as configured.
#[tokio::test(flavor = "multi_thread")]
async fn each_durability_records_every_token() {
    for durability in ["queue", "process", "disk"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let more = format!(
            "durability = \"{durability}\"\nmax_file_bytes = 20000\nmax_files = 99\ncompress = false"
        );
        let stage = staged(&path, &more).await;
        let answers = crowd(&stage, 100).await;
        assert_eq!(outcomes(&answers), [("200 Success".to_owned(), 100)].into(), "{durability}");
        if durability != "queue" {
            let there =
                std::fs::read_dir(folder.path()).unwrap().map(|file| lines(&file.unwrap().path()));
            let there: Vec<_> = there.flatten().collect();
            assert_eq!(vended(&there), answered(&answers), "{durability}: before the answer");
        }
        stage.close().await;
    }
}
