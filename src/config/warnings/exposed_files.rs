//! Files of secrets that other users of the machine can read or change.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::config::layers::NamedFile;
use crate::config::problems::Problem;

/// Linux's entry of this process, which its effective user owns.
const OWN_PROCESS: &str = "/proc/self";

/// A warning for each file. One that cannot be looked at has a problem of its own.
pub(in crate::config) fn exposed_files(files: &[NamedFile]) -> Vec<Problem> {
    let own = fs::metadata(OWN_PROCESS).ok().map(|process| process.uid());
    let problem = |file: &NamedFile| {
        let metadata = fs::metadata(&file.path).ok().filter(fs::Metadata::is_file)?;
        let mode = metadata.mode() & 0o777;
        let whose = if mode & 0o007 != 0 {
            "every user of this machine"
        // A group is needed where the owner is another user, as with Kubernetes' `fsGroup`.
        } else if mode & 0o070 != 0 && own == Some(metadata.uid()) {
            "every user of its group"
        } else {
            return None;
        };
        let path = file.path.display();
        Some(Problem {
            path: file.key.clone(),
            message: format!(
                "{whose} can read or change `{path}` (mode {mode:04o}), which holds a secret: set mode 0600, or in Kubernetes \
                 `defaultMode: 0440` with an `fsGroup`"
            ),
        })
    };
    files.iter().filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_that_others_can_read_is_warned_of_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "secret").unwrap();
        let found = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let file =
                NamedFile { key: "tickets.key_file".into(), path: path.clone(), is_secret: true };
            exposed_files(&[file]).into_iter().map(|problem| problem.message).collect::<String>()
        };
        for (mode, whose) in [
            (0o644, "every user of this machine"),
            (0o602, "every user of this machine"),
            (0o640, "every user of its group"),
        ] {
            let message = found(mode);
            assert!(
                message.starts_with(whose) && message.contains(&format!("(mode {mode:04o})")),
                "{message}"
            );
        }
        for mode in [0o600, 0o400] {
            assert_eq!(found(mode), "");
        }
    }
}
