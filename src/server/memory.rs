//! How much memory connections may take, by what the process may have.

use std::path::Path;

/// Where a container's limit of memory is: of control groups version 2, and of version 1.
const CGROUP_LIMITS: [&str; 2] =
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// How much of `wanted` bytes connections may take. Where the process may not have twice as much, it is less: kept tokens
/// and all else need some, too, and a process without memory serves nobody.
pub(crate) fn affordable_memory(wanted: usize) -> usize {
    let of_group = CGROUP_LIMITS.iter().find_map(|path| limit_in(Path::new(path)));
    // What is mapped counts here, used or not: stacks and the allocator's reserves take most of it.
    let mapped = rlimit::Resource::AS.get_soft().ok().filter(|limit| *limit != rlimit::INFINITY);
    let affordable = affordable(wanted, of_group, mapped);
    if affordable < wanted {
        tracing::warn!(
            server.memory_bytes = affordable,
            "the process's limit of memory is too low for `server.max_connection_memory_bytes`; connections get less"
        );
    }
    affordable
}

fn limit_in(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn affordable(wanted: usize, of_group: Option<u64>, mapped: Option<u64>) -> usize {
    let shares = [of_group.map(|limit| limit / 2), mapped.map(|limit| limit / 4)];
    let least = shares.into_iter().flatten().min();
    least.map_or(wanted, |most| wanted.min(usize::try_from(most).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_get_what_the_process_can_spare() {
        let table = [
            (None, None),
            (Some(1_000), None),
            (Some(100), None),
            (None, Some(1_000)),
            (Some(100), Some(100)),
            // What version 1 says where there is no limit.
            (Some(9_223_372_036_854_771_712), None),
        ];
        let bytes = table.map(|(of_group, mapped)| affordable(400, of_group, mapped));
        assert_eq!(bytes, [400, 400, 50, 250, 25, 400]);
    }

    #[test]
    fn a_group_without_a_limit_says_so_in_a_word() {
        let folder = tempfile::tempdir().unwrap();
        let limit = |text: &str| {
            let path = folder.path().join("memory.max");
            std::fs::write(&path, text).unwrap();
            limit_in(&path)
        };
        assert_eq!((limit("max\n"), limit("268435456\n")), (None, Some(268_435_456)));
    }
}
