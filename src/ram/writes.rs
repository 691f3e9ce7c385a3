//! The calls that write. None replaces or widens what exists; [`RamClient::delete_access_key`] takes back a key that
//! could not be kept.

use super::call::{Effect, RamCall, Service};
use super::client::RamClient;
use super::entities::{NewAccessKey, PolicyKind};
use super::error::RamError;
use super::reads::AttachmentTarget;

/// Of a created thing nothing is read from the answer: what exists is read back if it matters.
fn nothing(_: &serde_json::Value) -> Result<(), super::error::InvalidAnswer> {
    Ok(())
}

impl RamClient {
    pub(crate) async fn create_user(&self, name: &str, comments: &str) -> Result<(), RamError> {
        let own = vec![
            ("UserName", name.into()),
            ("DisplayName", name.into()),
            ("Comments", comments.into()),
        ];
        let call = RamCall::creates(Service::Ram, "CreateUser", format!("user/{name}"), own);
        self.call(&call, nothing).await
    }

    pub(crate) async fn create_policy(
        &self,
        name: &str,
        document: &str,
        description: &str,
    ) -> Result<(), RamError> {
        let own = vec![
            ("PolicyName", name.into()),
            ("PolicyDocument", document.into()),
            ("Description", description.into()),
        ];
        let call = RamCall::creates(Service::Ram, "CreatePolicy", format!("policy/{name}"), own);
        self.call(&call, nothing).await
    }

    pub(crate) async fn create_role(
        &self,
        name: &str,
        trust: &str,
        max_session_secs: u64,
        description: &str,
    ) -> Result<(), RamError> {
        let own = vec![
            ("RoleName", name.into()),
            ("AssumeRolePolicyDocument", trust.into()),
            ("MaxSessionDuration", max_session_secs.to_string().into()),
            ("Description", description.into()),
        ];
        let call = RamCall::creates(Service::Ram, "CreateRole", format!("role/{name}"), own);
        self.call(&call, nothing).await
    }

    /// Attaches a custom policy. One that is attached already is a success: attaching is the same however often it is
    /// done.
    pub(crate) async fn attach(
        &self,
        policy: &str,
        holder: AttachmentTarget<'_>,
    ) -> Result<(), RamError> {
        let action = match holder {
            AttachmentTarget::User(_) => "AttachPolicyToUser",
            AttachmentTarget::Role(_) => "AttachPolicyToRole",
        };
        let (parameter, name) = holder.parameter();
        let own = vec![
            ("PolicyName", policy.into()),
            ("PolicyType", PolicyKind::Custom.as_str().into()),
            (parameter, name.into()),
        ];
        let subject = holder.subject();
        let effect = Effect::Repeatable;
        let call = RamCall { service: Service::Ram, action, effect, subject, own };
        match self.call(&call, nothing).await {
            Err(error) if error.is_already_there() => Ok(()),
            done => done,
        }
    }

    /// Makes an AccessKey. If the answer is lost, so is the secret.
    pub(crate) async fn create_access_key(&self, user: &str) -> Result<NewAccessKey, RamError> {
        let own = vec![("UserName", user.into())];
        let subject = format!("user/{user}");
        let call = RamCall::creates(Service::Ram, "CreateAccessKey", subject, own);
        self.call(&call, NewAccessKey::read).await
    }

    /// Deletes an AccessKey. One that is gone already is a success.
    pub(crate) async fn delete_access_key(&self, user: &str, key: &str) -> Result<(), RamError> {
        let own = vec![("UserName", user.into()), ("UserAccessKeyId", key.into())];
        let (subject, effect) = (format!("user/{user}"), Effect::Repeatable);
        let action = "DeleteAccessKey";
        let call = RamCall { service: Service::Ram, action, effect, subject, own };
        match self.call(&call, nothing).await {
            Err(error) if error.is_not_there() => Ok(()),
            done => done,
        }
    }

    /// Sets the network policy of a key that has none.
    pub(crate) async fn set_network_policy(
        &self,
        user: &str,
        key: &str,
        policy: &str,
    ) -> Result<(), RamError> {
        let own = vec![
            ("UserPrincipalName", self.user_principal(user).into()),
            ("UserAccessKeyId", key.into()),
            ("AccessKeyPolicy", policy.into()),
        ];
        let (subject, effect) = (format!("user/{user}"), Effect::Repeatable);
        let action = "SetAccessKeyPolicy";
        let call = RamCall { service: Service::Ims, action, effect, subject, own };
        self.call(&call, nothing).await
    }

    pub(crate) async fn create_provider(
        &self,
        name: &str,
        issuer: &str,
        audiences: &[&str],
        description: &str,
    ) -> Result<(), RamError> {
        let own = vec![
            ("OIDCProviderName", name.into()),
            ("IssuerUrl", issuer.into()),
            ("ClientIds", audiences.join(",").into()),
            ("Description", description.into()),
        ];
        let subject = format!("oidc-provider/{name}");
        let call = RamCall::creates(Service::Ims, "CreateOIDCProvider", subject, own);
        self.call(&call, nothing).await
    }
}
