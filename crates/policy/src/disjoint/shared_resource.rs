//! Resources that different callers of a grant may share, by the operator's decision.

use std::str::FromStr;

use appserver_domain::Bucket;

/// Objects that callers of a grant may share, such as `acs:oss:*:*:sample-bucket/public/*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SharedResource {
    written: String,
    /// `bucket/key`, with wildcards in the key.
    path: Vec<char>,
}

/// The form of a shared resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a shared resource reads `acs:oss:*:*:sample-bucket/public/*`: the bucket is named, wildcards may follow the first \
     `/`, and there is no placeholder"
)]
pub struct SharedResourceProblem;

impl FromStr for SharedResource {
    type Err = SharedResourceProblem;

    fn from_str(written: &str) -> Result<Self, SharedResourceProblem> {
        let path = written.strip_prefix("acs:oss:*:*:").ok_or(SharedResourceProblem)?;
        let (bucket, key) = path.split_once('/').ok_or(SharedResourceProblem)?;
        let is_named = bucket.parse::<Bucket>().is_ok();
        if !is_named || key.is_empty() || key.contains(['$', '{', '}']) {
            return Err(SharedResourceProblem);
        }
        Ok(Self { written: written.to_owned(), path: path.chars().collect() })
    }
}

impl SharedResource {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    pub(super) fn path(&self) -> &[char] {
        &self.path
    }
}

/// Where each pattern is after a text: every reachable position, sorted.
pub(super) type Positions = Vec<(usize, usize)>;

/// The positions before the first character.
pub(super) fn start(shared: &[SharedResource]) -> Positions {
    closed(shared, (0..shared.len()).map(|at| (at, 0)).collect())
}

/// The positions after one more character.
pub(super) fn after(shared: &[SharedResource], positions: &Positions, c: char) -> Positions {
    let next =
        positions.iter().filter_map(|&(pattern, at)| match *shared[pattern].path().get(at)? {
            '*' => Some((pattern, at)),
            '?' => Some((pattern, at + 1)),
            own => (own == c).then_some((pattern, at + 1)),
        });
    closed(shared, next.collect())
}

/// Whether the text up to here matches a pattern.
pub(super) fn is_shared(shared: &[SharedResource], positions: &Positions) -> bool {
    positions.iter().any(|&(pattern, at)| at == shared[pattern].path().len())
}

/// A `*` may be empty.
fn closed(shared: &[SharedResource], mut positions: Positions) -> Positions {
    let mut done = 0;
    while let Some(&(pattern, at)) = positions.get(done) {
        if shared[pattern].path().get(at) == Some(&'*') {
            positions.push((pattern, at + 1));
        }
        done += 1;
    }
    positions.sort_unstable();
    positions.dedup();
    positions
}
