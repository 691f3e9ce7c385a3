//! Shuts sessions out of a bucket, and lets them in again: reads the policy, changes it, writes it and reads it again.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::client::{BucketPolicyClient, OssCallError};
use super::document::{BucketPolicy, DocumentProblem, MAX_POLICY_BYTES};
use super::session_deny::SessionDeny;
use super::shut_session::ShutSession;
use crate::oss_bucket::OssBucket;
use appserver_domain::{AccountId, Bucket};

/// How often a written policy is read until it is the one that was written, and how far apart.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// What is done to the sessions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PolicyEdit {
    /// They have no access to the bucket.
    Deny,
    /// They are no longer denied it.
    Restore,
}

/// What was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PolicyChange {
    /// For how many of the sessions the policy had to be changed.
    pub(crate) sessions: usize,
    /// How long the bucket's policy is now; 0 if it has none.
    pub(crate) bytes: usize,
}

/// Why sessions are not shut out of a bucket, or not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyChangeError {
    #[error(transparent)]
    Oss(#[from] OssCallError),
    #[error("the bucket's policy is not understood, and nothing was changed")]
    NotUnderstood(#[source] DocumentProblem),
    #[error(
        "the bucket's policy would have {bytes} bytes, and OSS takes at most {MAX_POLICY_BYTES}: nothing was changed; name fewer \
         sessions, take back those that have expired, or detach the policies of the role, which stops all of its sessions"
    )]
    TooLong { bytes: usize },
    #[error(
        "the bucket's policy is not the one that was written: somebody changed it at the same time, or OSS does not show it \
         yet; look at it, and run the command again"
    )]
    Differs,
}

/// The statement alone, for an administrator who adds it by hand.
pub(crate) fn deny_statement(
    bucket: &Bucket,
    owner: &AccountId,
    sessions: &[ShutSession],
) -> String {
    let principals = sessions.iter().flat_map(ShutSession::principals).collect();
    SessionDeny { principals }.write(bucket, owner).get().to_owned()
}

impl BucketPolicyClient {
    /// Edits the policy so that the sessions are denied or no longer denied; what else it says stays.
    pub(crate) async fn edit(
        &self,
        bucket: &OssBucket,
        owner: &AccountId,
        edit: PolicyEdit,
        sessions: &[ShutSession],
    ) -> Result<PolicyChange, PolicyChangeError> {
        let principals: BTreeSet<_> = sessions.iter().flat_map(ShutSession::principals).collect();
        let before = self.read(bucket, owner).await?;
        let mut after = before.clone();
        match edit {
            PolicyEdit::Deny => after.deny(&principals),
            PolicyEdit::Restore => after.restore(&principals),
        }
        let bytes = |policy: &BucketPolicy| if policy.is_empty() { 0 } else { policy.json().len() };
        if after.denied() == before.denied() {
            return Ok(PolicyChange { sessions: 0, bytes: bytes(&before) });
        }
        if bytes(&after) > MAX_POLICY_BYTES {
            return Err(PolicyChangeError::TooLong { bytes: bytes(&after) });
        }
        if after.is_empty() {
            self.delete(bucket).await?;
        } else {
            self.put(bucket, after.json()).await?;
        }
        for look in 1..=LOOKS {
            let found = self.read(bucket, owner).await?;
            let is_written = if after.is_empty() {
                found.is_empty()
            } else {
                found.denied() == after.denied() && found.is_like(&after)
            };
            if is_written {
                let (was, is) = (before.denied(), after.denied());
                let changed: BTreeSet<_> = was.symmetric_difference(&is).cloned().collect();
                let sessions =
                    sessions.iter().filter(|one| !one.principals().is_disjoint(&changed));
                return Ok(PolicyChange { sessions: sessions.count(), bytes: bytes(&after) });
            }
            if look < LOOKS {
                sleep(BETWEEN_LOOKS).await;
            }
        }
        Err(PolicyChangeError::Differs)
    }

    /// Those of the sessions that the bucket's policy denies access.
    pub(crate) async fn denied<'a>(
        &self,
        bucket: &OssBucket,
        owner: &AccountId,
        sessions: &'a [ShutSession],
    ) -> Result<Vec<&'a ShutSession>, PolicyChangeError> {
        let denied = self.read(bucket, owner).await?.denied();
        Ok(sessions.iter().filter(|one| !one.principals().is_disjoint(&denied)).collect())
    }

    async fn read(
        &self,
        bucket: &OssBucket,
        owner: &AccountId,
    ) -> Result<BucketPolicy, PolicyChangeError> {
        let (name, owner) = (bucket.bucket().clone(), owner.clone());
        match self.get(bucket).await? {
            Some(json) => {
                BucketPolicy::parse(name, owner, &json).map_err(PolicyChangeError::NotUnderstood)
            }
            None => Ok(BucketPolicy::empty(name, owner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::extract::State;
    use axum::http::{Method, StatusCode};
    use axum::response::{IntoResponse, Response};
    use axum::routing::any;
    use parking_lot::Mutex;
    use tokio::net::TcpListener;

    use super::*;
    use crate::outbound::Egress;
    use appserver_domain::clock::Clock;
    use appserver_domain::{AccessKey, SigningCredentials};

    /// A bucket's policy at an OSS that checks nothing.
    #[derive(Default)]
    struct FakeBucket {
        policy: Option<String>,
        /// What somebody else puts in place of each policy that is put.
        overwritten_by: Option<&'static str>,
        calls: Vec<String>,
    }

    type Shared = Arc<Mutex<FakeBucket>>;

    async fn answer(State(bucket): State<Shared>, method: Method, body: String) -> Response {
        let mut bucket = bucket.lock();
        bucket.calls.push(method.to_string());
        match method {
            Method::GET => {
                let none = "<Error><Code>NoSuchBucketPolicy</Code></Error>";
                let policy = bucket.policy.clone();
                policy.ok_or((StatusCode::NOT_FOUND, none)).into_response()
            }
            Method::PUT => {
                bucket.policy = Some(bucket.overwritten_by.map_or(body, str::to_owned));
                StatusCode::OK.into_response()
            }
            _ => {
                bucket.policy = None;
                StatusCode::NO_CONTENT.into_response()
            }
        }
    }

    struct Stage {
        fake: Shared,
        client: BucketPolicyClient,
        bucket: OssBucket,
    }

    impl Stage {
        async fn with(policy: Option<&str>) -> Self {
            let fake = FakeBucket { policy: policy.map(str::to_owned), ..FakeBucket::default() };
            let fake = Arc::new(Mutex::new(fake));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = format!("http://{}", listener.local_addr().unwrap());
            let router = Router::new().fallback(any(answer)).with_state(Arc::clone(&fake));
            tokio::spawn(async { axum::serve(listener, router).await });
            let key = AccessKey::new("adminid", "adminsecret".into()).unwrap();
            let key = SigningCredentials::of_key(key, None);
            let client =
                BucketPolicyClient::new(key, Egress::default(), Clock::system(), false).unwrap();
            let region = "cn-hangzhou".to_owned().try_into().unwrap();
            let endpoint = Some(endpoint.try_into().unwrap());
            let bucket = "sample-bucket".parse().unwrap();
            let bucket = OssBucket::new(bucket, region, endpoint, false).unwrap();
            Self { fake, client, bucket }
        }

        async fn edit(
            &self,
            edit: PolicyEdit,
            sessions: &[ShutSession],
        ) -> Result<PolicyChange, PolicyChangeError> {
            let owner = "11223344".parse().unwrap();
            self.client.edit(&self.bucket, &owner, edit, sessions).await
        }

        fn calls(&self) -> String {
            std::mem::take(&mut self.fake.lock().calls).join(" ")
        }

        fn policy(&self) -> Option<String> {
            self.fake.lock().policy.clone()
        }
    }

    fn session(name: &str) -> ShutSession {
        let role = "acs:ram::11223344:role/oss-readonly".to_owned().try_into().unwrap();
        ShutSession { role, name: name.parse().unwrap() }
    }

    const FOREIGN: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow", "Action":"oss:GetObject","Principal":["*"],"Resource":["*"]}]}"#;

    #[tokio::test]
    async fn a_denied_and_restored_session_leaves_the_policy_of_others_as_it_was() {
        for before in [None, Some(FOREIGN)] {
            let stage = Stage::with(before).await;
            let alice = [session("app.alice")];
            let denied = stage.edit(PolicyEdit::Deny, &alice).await.unwrap();
            assert_eq!((denied.sessions, denied.bytes), (1, stage.policy().unwrap().len()));
            assert_eq!(stage.calls(), "GET PUT GET");
            let again = stage.edit(PolicyEdit::Deny, &alice).await.unwrap();
            assert_eq!(again, PolicyChange { sessions: 0, ..denied });
            assert_eq!(stage.calls(), "GET");
            let both = [session("app.alice"), session("app.bob")];
            let restored = stage.edit(PolicyEdit::Restore, &both).await.unwrap();
            assert_eq!(restored.sessions, 1);
            assert_eq!(stage.policy().as_deref(), before);
            let last = if before.is_some() { "GET PUT GET" } else { "GET DELETE GET" };
            assert_eq!(stage.calls(), last);
        }
    }

    #[tokio::test]
    async fn a_role_with_capital_letters_is_named_in_both_ways() {
        let stage = Stage::with(None).await;
        let role = "acs:ram::11223344:role/Photos".to_owned().try_into().unwrap();
        let session = ShutSession { role, name: "App.alice".parse().unwrap() };
        stage.edit(PolicyEdit::Deny, &[session]).await.unwrap();
        let policy = stage.policy().unwrap();
        for principal in [
            "arn:sts::11223344:assumed-role/Photos/App.alice",
            "arn:sts::11223344:assumed-role/photos/App.alice",
        ] {
            assert!(policy.contains(&format!("\"{principal}\"")), "{policy}");
        }
    }

    #[tokio::test]
    async fn more_sessions_than_a_policy_holds_change_nothing() {
        let stage = Stage::with(Some(FOREIGN)).await;
        let sessions: Vec<_> = (0..400).map(|i| session(&format!("photo-app.user{i}"))).collect();
        let error = stage.edit(PolicyEdit::Deny, &sessions).await.unwrap_err();
        assert!(
            matches!(error, PolicyChangeError::TooLong { bytes } if bytes > MAX_POLICY_BYTES),
            "{error}"
        );
        assert_eq!((stage.calls().as_str(), stage.policy().as_deref()), ("GET", Some(FOREIGN)));
        let fitting = stage.edit(PolicyEdit::Deny, &sessions[..200]).await.unwrap();
        assert!(fitting.bytes <= MAX_POLICY_BYTES);
    }

    #[tokio::test]
    async fn a_policy_that_is_not_understood_is_not_written() {
        let stage = Stage::with(Some("no policy")).await;
        let error = stage.edit(PolicyEdit::Deny, &[session("app.alice")]).await.unwrap_err();
        assert!(matches!(error, PolicyChangeError::NotUnderstood(_)), "{error}");
        assert_eq!(stage.calls(), "GET");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_by_somebody_else_is_found() {
        let stage = Stage::with(Some(FOREIGN)).await;
        stage.fake.lock().overwritten_by = Some(FOREIGN);
        let error = stage.edit(PolicyEdit::Deny, &[session("app.alice")]).await.unwrap_err();
        assert!(matches!(error, PolicyChangeError::Differs), "{error}");
        assert_eq!(stage.calls(), "GET PUT GET GET GET");
    }
}
