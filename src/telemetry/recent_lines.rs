//! The latest lines of a log in memory, for the page of `appserver dev`. At most [`MOST_LINES`] are kept.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

/// A page shows the lines of the requests that it has just sent.
const MOST_LINES: usize = 2_000;

/// Keeps whole lines, oldest first. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecentLines {
    /// Held to copy a line or to search, never across an await.
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl RecentLines {
    /// Adds each line of a text. What follows the last line break counts as a line.
    pub(crate) fn push(&self, text: &str) {
        let mut lines = self.lines.lock();
        for line in text.lines() {
            if lines.len() == MOST_LINES {
                lines.pop_front();
            }
            lines.push_back(line.to_owned());
        }
    }

    /// The lines that contain the text, oldest first.
    pub(crate) fn containing(&self, text: &str) -> Vec<String> {
        self.lines.lock().iter().filter(|line| line.contains(text)).cloned().collect()
    }
}

/// Each write must contain whole lines.
impl io::Write for RecentLines {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.push(&String::from_utf8_lossy(lines));
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for RecentLines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_are_found_by_what_they_contain_in_their_order() {
        let lines = RecentLines::default();
        lines.clone().write_all(b"{\"id\":\"A\",\"n\":1}\n{\"id\":\"B\"}\n").unwrap();
        lines.push("{\"id\":\"A\",\"n\":2}");
        assert_eq!(lines.containing("\"A\""), ["{\"id\":\"A\",\"n\":1}", "{\"id\":\"A\",\"n\":2}"]);
        assert!(lines.containing("\"C\"").is_empty());
    }

    #[test]
    fn only_the_latest_lines_are_kept() {
        let lines = RecentLines::default();
        for n in 0..MOST_LINES + 3 {
            lines.push(&format!("line {n}"));
        }
        let kept = lines.containing("line");
        assert_eq!((kept.len(), kept[0].as_str()), (MOST_LINES, "line 3"));
    }
}
