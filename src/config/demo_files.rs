//! The configuration of `appserver dev` and `appserver emulator`, built into the binary, so that both run in any folder.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The folder of the built-in files. On a disk their paths would be relative to a folder of this name.
const FOLDER: &str = "(built in)";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../config/", $name)))),*]
    };
}

/// `dev.toml` and what it names, and `emulator.toml`.
const FILES: &[(&str, &str)] = files![
    "dev.toml",
    "emulator.toml",
    "demo.jwks.json",
    "policies/album-guest.json",
    "policies/daily-photos.json",
    "policies/my-photos.json",
    "policies/one-album.json",
    "policies/photo-upload.json",
    "policies/read-all.json",
    "policies/shared-album.json",
];

/// `config/NAME`, as in this project's repository, or the built-in file if there is none.
pub(crate) fn path(name: &str) -> PathBuf {
    let in_repository = Path::new("config").join(name);
    match in_repository.try_exists() {
        Ok(false) => Path::new(FOLDER).join(name),
        // `config` is a file of something else.
        Err(error) if error.kind() == ErrorKind::NotADirectory => Path::new(FOLDER).join(name),
        // One that cannot be read is reported as such.
        Ok(true) | Err(_) => in_repository,
    }
}

/// The text of a built-in file.
pub(crate) fn text(path: &Path) -> Option<&'static str> {
    let name = path.strip_prefix(FOLDER).ok()?;
    FILES.iter().find(|(own, _)| Path::new(own) == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Mode, load};

    /// Tests run in the repository, where the built-in files are not chosen.
    #[test]
    fn the_built_in_demo_is_the_one_of_the_repository() {
        assert_eq!(path("dev.toml"), Path::new("config/dev.toml"));
        let load = |path: &Path| load(&[path.to_owned()], &Environment::new(), Mode::Demo).unwrap();
        let (ours, built_in) = (load(&path("dev.toml")), load(&Path::new(FOLDER).join("dev.toml")));
        assert_eq!(built_in.hash, ours.hash);
        assert_eq!(built_in.warnings, ours.warnings);
    }

    #[test]
    fn no_other_path_is_a_built_in_file() {
        assert!(text(&Path::new(FOLDER).join("emulator.toml")).is_some());
        for other in
            ["(built in)", "(built in)/../dev.toml", "/(built in)/dev.toml", "dev.toml", ""]
        {
            assert_eq!(text(Path::new(other)), None, "{other}");
        }
    }
}
