//! `appserver client new`.

use secrecy::{ExposeSecret, SecretString};

use super::failure::Failure;
use super::output::say;
use crate::auth::{ClientSecret, SecretHash};
use appserver_domain::ClientId;

/// Prints a new secret, which is shown only this once.
pub(super) fn new(id: &ClientId) -> Result<(), Failure> {
    let secret = SecretString::from(ClientSecret::generate());
    let hash = SecretHash::of(&secret).to_hex();
    say(format_args!(
        "\
The secret of `{id}`, shown this once. Keep it where your backend keeps its secrets:

  {}

The configuration with its hash:

  [clients.{id}]
  grants = [\"…\"]
  secret_sha256 = [\"{hash}\"]

Never put it into an app's build: everyone who has the app can extract it, and it is valid for all users. Apps
send their users' tokens ([issuers] in the configuration) or a ticket from your backend; a client that only apps
use needs no secret: leave `secret_sha256` out.

To replace an older secret, put both hashes into the list, give the backend the new secret, then remove the old
hash.",
        secret.expose_secret()
    ))
}
