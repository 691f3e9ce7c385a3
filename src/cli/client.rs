//! `appserver client new`.

use secrecy::{ExposeSecret, SecretString};

use crate::auth::{ClientSecret, SecretHash};
use crate::domain::ClientId;

/// Prints a new secret: the one time that anybody sees it.
pub(super) fn new(id: &ClientId) {
    let secret = SecretString::from(ClientSecret::generate());
    let hash = SecretHash::of(&secret).to_hex();
    println!(
        "\
The secret of `{id}`, shown this once; it goes into the app's backend or its build:

  {}

The configuration that knows it:

  [clients.{id}]
  grants = [\"…\"]
  secret_sha256 = [\"{hash}\"]

To replace an older secret, put both hashes into the list, give the app the new secret, then take the old
hash out.",
        secret.expose_secret()
    );
}
