//! Metrics of the process, read at each scrape, under the names that Prometheus' own clients give them; and its tasks.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::runtime::Handle;

/// Reads `/proc`. What cannot be read is left out; elsewhere than on Linux that is all of it.
#[derive(Debug)]
pub(super) struct ProcessMetrics;

/// The gauges of one scrape: name, help, value.
type Gauges = Vec<(&'static str, &'static str, f64)>;

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Ok(runtime) = Handle::try_current() {
            let gauge = ConstGauge::new(
                i64::try_from(runtime.metrics().num_alive_tasks()).unwrap_or(i64::MAX),
            );
            let (name, help) =
                ("appserver_runtime_tasks", "Tasks of the runtime that have not ended");
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let Some((cpu_seconds, gauges)) = read() else { return Ok(()) };
        let counter = ConstCounter::new(cpu_seconds);
        let help = "User and system CPU time spent, in seconds";
        counter.encode(encoder.encode_descriptor(
            "process_cpu_seconds",
            help,
            None,
            counter.metric_type(),
        )?)?;
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
#[expect(clippy::cast_precision_loss, reason = "sizes and counts are far below 2^52")]
fn read() -> Option<(f64, Gauges)> {
    use procfs::WithCurrentSystemInfo;
    use procfs::process::{LimitValue, Process};

    let process = Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let ticks = procfs::ticks_per_second() as f64;
    let cpu_seconds = (stat.utime + stat.stime) as f64 / ticks;
    let mut gauges = vec![
        (
            "process_resident_memory_bytes",
            "Resident memory, in bytes",
            stat.rss_bytes().get() as f64,
        ),
        ("process_virtual_memory_bytes", "Virtual memory, in bytes", stat.vsize as f64),
        ("process_threads", "Threads", stat.num_threads as f64),
    ];
    if let Ok(boot) = procfs::boot_time_secs() {
        let help = "When the process started, since the Unix epoch";
        let started = boot as f64 + stat.starttime as f64 / ticks;
        gauges.push(("process_start_time_seconds", help, started));
    }
    if let Ok(open) = process.fd_count() {
        gauges.push(("process_open_fds", "Open file descriptors", open as f64));
    }
    if let Ok(limits) = process.limits() {
        let most = match limits.max_open_files.soft_limit {
            LimitValue::Value(most) => most as f64,
            LimitValue::Unlimited => f64::INFINITY,
        };
        gauges.push(("process_max_fds", "The most open file descriptors", most));
    }
    Some((cpu_seconds, gauges))
}

#[cfg(not(target_os = "linux"))]
fn read() -> Option<(f64, Gauges)> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[tokio::test]
    async fn the_process_has_the_metrics_of_prometheus_clients_with_plausible_values() {
        let (_end, ended) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(ended);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessMetrics));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("{name} is not in {text}"))[name.len() + 1..]
                .parse()
                .unwrap()
        };
        assert!(value("process_cpu_seconds_total") >= 0.0);
        let resident = value("process_resident_memory_bytes");
        assert!(resident > 1e5 && resident <= value("process_virtual_memory_bytes"), "{text}");
        assert!(value("process_threads") >= 1.0);
        assert!((value("appserver_runtime_tasks") - 1.0).abs() < f64::EPSILON, "{text}");
        // Three standard streams, and the folder that counts them.
        let open = value("process_open_fds");
        assert!(open >= 4.0 && open <= value("process_max_fds"), "{text}");
        // After 2020 and before 2100: seconds, not milliseconds.
        let started = value("process_start_time_seconds");
        assert!((1.577e9..4.102e9).contains(&started), "{text}");
    }
}
