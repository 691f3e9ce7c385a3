//! How much memory connections may use under the process's memory limit.

use std::path::Path;

/// A container's memory limit: cgroup version 2, then version 1.
const CGROUP_LIMITS: [&str; 2] =
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// How many of `wanted` bytes connections may use: at most half of the process's limit, because cached tokens and
/// everything else need memory too.
pub(crate) fn affordable_memory(wanted: usize) -> usize {
    let cgroup = CGROUP_LIMITS.iter().find_map(|path| limit_in(Path::new(path)));
    // This limit counts mapped memory, used or not: stacks and the allocator's reserves take most of it.
    let mapped = rlimit::Resource::AS.get_soft().ok().filter(|limit| *limit != rlimit::INFINITY);
    let affordable = affordable(wanted, cgroup, mapped);
    if affordable < wanted {
        tracing::warn!(
            server.memory_bytes = affordable,
            "process memory limit is too low for `server.max_connection_memory_bytes`; using less for connections"
        );
    }
    affordable
}

fn limit_in(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn affordable(wanted: usize, cgroup: Option<u64>, mapped: Option<u64>) -> usize {
    let shares = [cgroup.map(|limit| limit / 2), mapped.map(|limit| limit / 4)];
    let least = shares.into_iter().flatten().min();
    least.map_or(wanted, |most| wanted.min(usize::try_from(most).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_use_at_most_a_share_of_the_memory_limit() {
        let table = [
            (None, None),
            (Some(1_000), None),
            (Some(100), None),
            (None, Some(1_000)),
            (Some(100), Some(100)),
            // The value of version 1 without a limit.
            (Some(9_223_372_036_854_771_712), None),
        ];
        let bytes = table.map(|(cgroup, mapped)| affordable(400, cgroup, mapped));
        assert_eq!(bytes, [400, 400, 50, 250, 25, 400]);
    }

    #[test]
    fn a_cgroup_without_a_limit_is_read_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let limit = |text: &str| {
            let path = folder.path().join("memory.max");
            std::fs::write(&path, text).unwrap();
            limit_in(&path)
        };
        assert_eq!((limit("max\n"), limit("268435456\n")), (None, Some(268_435_456)));
    }
}
