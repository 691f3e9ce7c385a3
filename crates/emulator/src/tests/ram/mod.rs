//! RAM and IMS, and the services that see their changes.

mod access;
mod documents;
mod entities;
mod formats;
mod kept_state;

use super::*;

const TRUST_ACCOUNT: &str = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"RAM":["acs:ram::11223344:root"]}}],"Version":"1"}"#;
const READ_PHOTOS: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/*"}]}"#;

/// A call to RAM by the administrator.
fn ram<'a>(action: &'a str, params: &[(&'a str, &str)]) -> Caller<'a> {
    let caller = Caller::new(action).with("Version", "2015-05-01").by("adminid", "adminsecret");
    params.iter().fold(caller, |caller, (name, value)| caller.with(name, *value))
}

/// A call to IMS by the administrator.
fn ims<'a>(action: &'a str, params: &[(&'a str, &str)]) -> Caller<'a> {
    ram(action, params).with("Version", "2019-08-15")
}

impl Emulated {
    async fn ram(&self, caller: &Caller<'_>) -> Answered {
        answered(self.request_to(&self.ram_url, caller).send().await.unwrap()).await
    }

    /// The answer of a call that must succeed, without its `RequestId`.
    async fn done(&self, caller: Caller<'_>) -> Value {
        let Answered { status, mut body } = self.ram(&caller).await;
        assert_eq!(status, 200, "{body}");
        let id = body.as_object_mut().and_then(|body| body.remove("RequestId"));
        assert!(id.is_some(), "{body}");
        body
    }

    /// Status, code and message of a call that must fail.
    async fn refused(&self, caller: Caller<'_>) -> (u16, String, String) {
        let Answered { status, body } = self.ram(&caller).await;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (status, text("Code"), text("Message"))
    }

    /// Status and code of a call that must fail.
    async fn code(&self, caller: Caller<'_>) -> (u16, String) {
        let (status, code, _) = self.refused(caller).await;
        (status, code)
    }

    /// A new AccessKey of the user: its id and its secret.
    async fn new_key(&self, user: &str) -> (String, String) {
        let answer = self.done(ram("CreateAccessKey", &[("UserName", user)])).await;
        let text = |name: &str| answer["AccessKey"][name].as_str().unwrap().to_owned();
        (text("AccessKeyId"), text("AccessKeySecret"))
    }
}
