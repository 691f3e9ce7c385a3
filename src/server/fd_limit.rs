//! How many connections the system has file descriptors for.

/// Descriptors that are no caller's connection: STS, the admin listener, files, the runtime.
const RESERVED: usize = 256;

/// Raises the process's limit of open files as far as it may be raised, and answers how many connections of
/// `wanted` then fit under it. Without the reserve, idle callers could take even the health checks down.
pub(crate) fn affordable_connections(wanted: usize) -> usize {
    let limit = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        Err(error) => {
            tracing::warn!(error.message = %error, "the limit of open files cannot be read");
            return wanted;
        }
    };
    let affordable = affordable(wanted, limit);
    if affordable < wanted {
        tracing::warn!(
            process.max_open_files = limit,
            server.connections = affordable,
            "the limit of open files is too low for `server.max_connections`; fewer will be taken"
        );
    }
    affordable
}

fn affordable(wanted: usize, limit: usize) -> usize {
    // A very low limit is halved rather than reserved whole.
    let reserve = RESERVED.min(limit / 2);
    wanted.min(limit - reserve).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_kept_back_for_everything_that_is_no_caller() {
        let fits = [(10_000, 1_048_576), (10_000, 1_024), (10_000, 128), (7, 1_024), (1, 1)];
        let affordable = fits.map(|(wanted, limit)| affordable(wanted, limit));
        assert_eq!(affordable, [10_000, 768, 64, 7, 1]);
    }
}
