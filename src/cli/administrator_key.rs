//! An administrator's AccessKey, of the environment.

use super::failure::{EXIT_NOT_EXAMINED, Failure};
use crate::config::Environment;
use appserver_domain::{AccessKey, Invalid, SigningCredentials};

pub(super) const ID: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
pub(super) const SECRET: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
const TOKEN: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";

/// The key. `needs` says which permissions the command needs.
pub(super) fn administrator_key(
    environment: &Environment,
    needs: &str,
) -> Result<SigningCredentials, Failure> {
    let variable = |name: &str| environment.get(name).filter(|value| !value.trim().is_empty());
    let needed = |name: &str| {
        variable(name).ok_or_else(|| {
            let message = format!(
                "{name} is not set: an administrator's AccessKey is read from {ID} and {SECRET}, and {TOKEN} if it is a \
                 temporary one; {needs}"
            );
            Failure::new(EXIT_NOT_EXAMINED, message)
        })
    };
    let key = AccessKey::new(needed(ID)?, needed(SECRET)?.as_str().into());
    let key =
        key.map_err(|Invalid(rule)| Failure::new(EXIT_NOT_EXAMINED, format!("{ID}: {rule}")))?;
    let token = variable(TOKEN).map(|token| token.trim().into());
    Ok(SigningCredentials::of_key(key, token))
}
