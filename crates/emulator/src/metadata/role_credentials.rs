//! The credentials of the instance's role: one session at a time, replaced shortly before its end.

use std::sync::Mutex;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use secrecy::SecretString;

use crate::ram::{Role, Session, TokenKey};

/// The life of an instance's session; the documented example shows six hours.
const LIFE: TimeDelta = TimeDelta::hours(6);
/// New credentials appear this long before the old end, and both are then valid.
const OVERLAP: TimeDelta = TimeDelta::minutes(30);
/// Sessions of instances are called `vm-ram-` and the id of the instance.
const SESSION_NAME: &str = "vm-ram-i-emulated";

/// The current session of an instance's role.
pub(crate) struct RoleCredentials {
    token_key: TokenKey,
    /// A plain mutex: held briefly, never across an await.
    current: Mutex<Option<InstanceSession>>,
}

#[derive(Clone, Debug)]
pub(super) struct InstanceSession {
    pub(super) session: Session,
    pub(super) security_token: SecretString,
    pub(super) last_updated: DateTime<Utc>,
}

impl RoleCredentials {
    pub(super) fn new(token_key: TokenKey) -> Self {
        Self { token_key, current: Mutex::default() }
    }

    /// The current session of the role; a new one if there is none or half an hour is left. With a scripted life it is a session of
    /// its own, which the next request does not get.
    pub(super) fn at(
        &self,
        now: DateTime<Utc>,
        role: &Role,
        scripted_life: Option<TimeDelta>,
    ) -> InstanceSession {
        if let Some(life) = scripted_life {
            return self.session(role, now, life);
        }
        let mut current = self.current.lock().expect("nothing panics while it is held");
        let is_current = |session: &InstanceSession| {
            // Before its beginning: the clock was moved back.
            session.last_updated <= now
                && now < session.session.expiration - OVERLAP
                // The sessions of a role end with it.
                && session.session.role_id == role.id
        };
        if let Some(session) = current.as_ref().filter(|session| is_current(session)) {
            return session.clone();
        }
        current.insert(self.session(role, now, LIFE)).clone()
    }

    fn session(&self, role: &Role, now: DateTime<Utc>, life: TimeDelta) -> InstanceSession {
        let last_updated = now.trunc_subsecs(0);
        let (access_key_id, access_key_secret) = Session::new_access_key();
        let session = Session {
            access_key_id,
            access_key_secret,
            role_arn: role.arn(),
            role_id: role.id.clone(),
            session_name: SESSION_NAME.to_owned(),
            policy: None,
            source_identity: None,
            expiration: last_updated + life,
        };
        let security_token = self.token_key.seal(&session);
        InstanceSession { session, security_token, last_updated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ram::Document;
    use appserver_domain::MaxSessionDuration;

    fn credentials() -> RoleCredentials {
        RoleCredentials::new(TokenKey::from_hex(&"0".repeat(64).into()).unwrap())
    }

    fn role(id: &str) -> Role {
        let trust = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
            "Principal":{"Service":["ecs.aliyuncs.com"]}}]}"#;
        Role {
            account: "1".to_owned(),
            id: id.to_owned(),
            name: "r".to_owned(),
            description: String::new(),
            max_session_duration: MaxSessionDuration::DEFAULT,
            trust: Document::parse(trust).unwrap(),
            allow_console_login: false,
            created: DateTime::UNIX_EPOCH,
            updated: DateTime::UNIX_EPOCH,
            attached: Vec::new(),
        }
    }

    #[test]
    fn a_new_role_of_the_same_name_has_new_credentials() {
        let credentials = credentials();
        let now = "2016-01-13T14:02:37Z".parse().unwrap();
        let id = |role| credentials.at(now, &role, None).session.access_key_id;
        let first = id(role("1"));
        assert_eq!(id(role("1")), first);
        assert_ne!(id(role("2")), first);
    }

    #[test]
    fn new_credentials_appear_half_an_hour_before_the_old_end() {
        let credentials = credentials();
        let start: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().unwrap();
        let id = |minutes: i64| {
            let now = start + TimeDelta::minutes(minutes);
            credentials.at(now, &role("1"), None).session.access_key_id
        };
        let first = id(0);
        assert_eq!(id(329), first);
        let second = id(330);
        assert_ne!(second, first);
        assert_eq!(id(659), second);
        assert_ne!(id(0), second);
    }

    #[test]
    fn a_scripted_life_is_for_one_answer() {
        let credentials = credentials();
        let now: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().unwrap();
        let at = |life| credentials.at(now, &role("1"), life).session;
        let (first, expired, again) = (at(None), at(Some(TimeDelta::seconds(-1))), at(None));
        assert_eq!(expired.expiration, now - TimeDelta::seconds(1));
        assert_eq!(again.access_key_id, first.access_key_id);
    }
}
