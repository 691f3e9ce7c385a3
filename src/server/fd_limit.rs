//! How many connections the limit of open files allows.

/// Descriptors for everything but client connections: STS, the admin listener, files, the runtime.
const RESERVED: usize = 256;

/// Raises the process's limit of open files as far as the system allows, and returns how many of `wanted` connections
/// fit. Without the reserve, idle clients could make health checks fail.
pub(crate) fn affordable_connections(wanted: usize) -> usize {
    let limit = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        Err(error) => {
            tracing::warn!(error.message = %error, "limit of open files not readable; using `server.max_connections` unchecked");
            return wanted;
        }
    };
    let affordable = affordable(wanted, limit);
    if affordable < wanted {
        tracing::warn!(
            process.max_open_files = limit,
            server.connections = affordable,
            "limit of open files is too low for `server.max_connections`; accepting fewer connections"
        );
    }
    affordable
}

fn affordable(wanted: usize, limit: usize) -> usize {
    // Of a very low limit, half is reserved.
    let reserve = RESERVED.min(limit / 2);
    wanted.min(limit - reserve).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_reserved_for_other_uses_than_client_connections() {
        let fits = [(10_000, 1_048_576), (10_000, 1_024), (10_000, 128), (7, 1_024), (1, 1)];
        let affordable = fits.map(|(wanted, limit)| affordable(wanted, limit));
        assert_eq!(affordable, [10_000, 768, 64, 7, 1]);
    }
}
