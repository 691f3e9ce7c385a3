//! A scripted RAM and IMS with an account in memory, whose answers can be lost after the call was carried out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::client::{RamClient, RamSettings};
use crate::sts::scripted::{Form, Reply, Scripted};
use appserver_domain::clock::Clock;
use appserver_domain::{AccessKey, SigningCredentials};

pub(crate) const NOW: &str = "2016-01-13T14:02:37Z";
pub(crate) const ACCOUNT: &str = "11223344";

/// What is in the account.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Contents {
    pub(crate) users: Vec<String>,
    /// Keys by id, each with its user.
    pub(crate) keys: BTreeMap<String, String>,
    /// The keys that are inactive.
    pub(crate) inactive: Vec<String>,
    /// How many keys were ever made.
    pub(crate) keys_made: usize,
    /// Trust policies and longest sessions by name.
    pub(crate) roles: BTreeMap<String, (String, u64)>,
    /// Custom policies by name.
    pub(crate) policies: BTreeMap<String, String>,
    /// Such as `(user/appserver, Custom, appserver-assume-roles)`.
    pub(crate) attached: Vec<(String, String, String)>,
    /// Network policies by AccessKey.
    pub(crate) networks: BTreeMap<String, String>,
    /// Issuers and audiences by name.
    pub(crate) providers: BTreeMap<String, (String, String)>,
}

/// What to do with the answer to a call that has been carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Interruption {
    /// The answer of the call with this number is lost, once.
    LoseAnswer(usize),
    /// From this call on the answers of all calls are lost, and only the first of them is carried out.
    LoseAllAnswers(usize),
    /// The call with this number is refused by this status and code, and not carried out.
    Refuse(usize, u16, &'static str),
    /// Each call of this action is refused.
    RefuseAction(&'static str, u16, &'static str),
}

pub(crate) struct ScriptedAccount {
    server: Scripted,
    contents: Arc<Mutex<Contents>>,
}

impl ScriptedAccount {
    pub(crate) async fn start(contents: Contents, interruption: Option<Interruption>) -> Self {
        Self::start_with(contents, interruption, |_, _| {}).await
    }

    /// `meanwhile` is done after each call, before its answer: what others do to the account or the machine.
    pub(crate) async fn start_with(
        contents: Contents,
        interruption: Option<Interruption>,
        meanwhile: impl Fn(&Form, &mut Contents) + Send + Sync + 'static,
    ) -> Self {
        let contents = Arc::new(Mutex::new(contents));
        let ours = contents.clone();
        let server = Scripted::start(move |number, form| {
            let mut contents = ours.lock().unwrap();
            match interruption {
                Some(Interruption::Refuse(at, status, code)) if at == number => {
                    return refused(status, code);
                }
                Some(Interruption::RefuseAction(action, status, code))
                    if form["Action"] == action =>
                {
                    return refused(status, code);
                }
                Some(Interruption::LoseAllAnswers(from)) if number > from => return Reply::Cut,
                _ => {}
            }
            let answer = contents.carry_out(form);
            meanwhile(form, &mut contents);
            match interruption {
                Some(Interruption::LoseAnswer(at) | Interruption::LoseAllAnswers(at))
                    if at == number =>
                {
                    Reply::Cut
                }
                _ => answer.map_or_else(
                    |(status, code)| refused(status, code),
                    |body| Reply::Answer("HTTP/1.1 200 OK".into(), body.to_string()),
                ),
            }
        })
        .await;
        Self { server, contents }
    }

    pub(crate) fn client(&self) -> RamClient {
        let endpoint = || self.server.endpoint();
        let settings = RamSettings {
            ram: endpoint(),
            ims: endpoint(),
            sts: endpoint(),
            account: ACCOUNT.parse().unwrap(),
        };
        let key =
            AccessKey { id: "adminid".parse().unwrap(), secret: "canary-admin-secret".into() };
        let key = SigningCredentials::of_key(key, Some("canary-admin-token".into()));
        RamClient::new(settings, key, Default::default(), Clock::manual(NOW.parse().unwrap()))
            .unwrap()
    }

    pub(crate) fn contents(&self) -> Contents {
        self.contents.lock().unwrap().clone()
    }

    /// The actions that were called, in order.
    pub(crate) fn actions(&self) -> Vec<String> {
        self.server.seen().forms.iter().map(|form| form["Action"].clone()).collect()
    }

    pub(crate) fn forms(&self) -> Vec<Form> {
        self.server.seen().forms
    }
}

/// An error answer of RAM, whose message must never be repeated.
fn refused(status: u16, code: &str) -> Reply {
    let body = json!({"Code": code, "Message": "canary-message", "RequestId": "1-A"});
    Reply::Answer(format!("HTTP/1.1 {status} X"), body.to_string())
}

type Answered = Result<Value, (u16, &'static str)>;

impl Contents {
    fn carry_out(&mut self, form: &Form) -> Answered {
        let of = |name: &str| form.get(name).cloned().unwrap_or_default();
        let (user, role, policy) = (of("UserName"), of("RoleName"), of("PolicyName"));
        let key = of("UserAccessKeyId");
        let done = || Ok(json!({"RequestId": "1-A"}));
        match form["Action"].as_str() {
            "GetCallerIdentity" => Ok(json!({
                "IdentityType": "RAMUser", "AccountId": ACCOUNT, "Arn": "acs:ram::11223344:user/admin",
            })),
            "GetUser" if !self.users.contains(&user) => Err((404, "EntityNotExist.User")),
            "GetUser" => Ok(json!({"User": {"UserName": user}})),
            "CreateUser" if self.users.contains(&user) => Err((409, "EntityAlreadyExists.User")),
            "CreateUser" => {
                self.users.push(user);
                done()
            }
            "ListAccessKeys" => {
                let keys = self.keys.iter().filter(|(_, owner)| **owner == user);
                let status =
                    |id: &String| if self.inactive.contains(id) { "Inactive" } else { "Active" };
                let entry = |id: &String| json!({"AccessKeyId": id, "Status": status(id), "CreateDate": NOW});
                let keys: Vec<_> = keys.map(|(id, _)| entry(id)).collect();
                Ok(json!({"AccessKeys": {"AccessKey": keys}}))
            }
            "CreateAccessKey" if self.keys.len() >= 2 => Err((409, "LimitExceeded.User.AccessKey")),
            "CreateAccessKey" => {
                self.keys_made += 1;
                let id = format!("LTAI{}", self.keys_made);
                self.keys.insert(id.clone(), user);
                let secret = format!("canary-new-secret-{}", self.keys_made);
                Ok(json!({"AccessKey": {
                    "AccessKeyId": id, "AccessKeySecret": secret, "Status": "Active", "CreateDate": NOW,
                }}))
            }
            "DeleteAccessKey" => match self.keys.remove(&key) {
                Some(_) => done(),
                None => Err((404, "EntityNotExist.User.AccessKey")),
            },
            "GetRole" => match self.roles.get(&role) {
                Some((trust, max)) => Ok(json!({"Role": {
                    "Arn": format!("acs:ram::{ACCOUNT}:role/{role}"),
                    "AssumeRolePolicyDocument": trust, "MaxSessionDuration": max,
                }})),
                None => Err((404, "EntityNotExist.Role")),
            },
            "CreateRole" if self.roles.contains_key(&role) => {
                Err((409, "EntityAlreadyExists.Role"))
            }
            "CreateRole" => {
                let max = of("MaxSessionDuration").parse().unwrap();
                self.roles.insert(role, (of("AssumeRolePolicyDocument"), max));
                done()
            }
            "GetPolicy" => {
                let system = (of("PolicyType") == "System").then(|| system_policy(&policy));
                let document = system.or_else(|| self.policies.get(&policy).cloned());
                let document = document.ok_or((404, "EntityNotExist.Policy"))?;
                Ok(json!({"DefaultPolicyVersion": {"PolicyDocument": document}}))
            }
            "CreatePolicy" if self.policies.contains_key(&policy) => {
                Err((409, "EntityAlreadyExists.Policy"))
            }
            "CreatePolicy" => {
                self.policies.insert(policy, of("PolicyDocument"));
                done()
            }
            "ListPoliciesForUser" | "ListPoliciesForRole" => {
                let holder =
                    if user.is_empty() { format!("role/{role}") } else { format!("user/{user}") };
                let attached = self.attached.iter().filter(|(whose, ..)| *whose == holder);
                let attached: Vec<_> = attached
                    .map(|(_, kind, name)| json!({"PolicyName": name, "PolicyType": kind}))
                    .collect();
                Ok(json!({"Policies": {"Policy": attached}}))
            }
            "AttachPolicyToUser" | "AttachPolicyToRole" => {
                let holder =
                    if user.is_empty() { format!("role/{role}") } else { format!("user/{user}") };
                let entry = (holder, of("PolicyType"), policy);
                if self.attached.contains(&entry) {
                    return Err((409, "EntityAlreadyExists.User.Policy"));
                }
                self.attached.push(entry);
                self.attached.sort();
                done()
            }
            "GetAccessKeyPolicy" => {
                let policy = self.networks.get(&key).cloned().unwrap_or_else(|| "{}".into());
                Ok(json!({"AccessKeyId": key, "AccessKeyPolicy": policy}))
            }
            "SetAccessKeyPolicy" => {
                self.networks.insert(key, of("AccessKeyPolicy"));
                done()
            }
            "GetOIDCProvider" => match self.providers.get(&of("OIDCProviderName")) {
                Some((issuer, ids)) => {
                    Ok(json!({"OIDCProvider": {"IssuerUrl": issuer, "ClientIds": ids}}))
                }
                None => Err((404, "EntityNotExist.OIDCProvider")),
            },
            "CreateOIDCProvider" => {
                self.providers.insert(of("OIDCProviderName"), (of("IssuerUrl"), of("ClientIds")));
                done()
            }
            other => panic!("no such action: {other}"),
        }
    }
}

/// The system policies of the seeds.
fn system_policy(name: &str) -> String {
    let (action, resource) = match name {
        "AliyunSTSAssumeRoleAccess" => (r#""sts:AssumeRole""#, "*"),
        "AliyunOSSReadOnlyAccess" => (r#"["oss:Get*","oss:List*"]"#, "*"),
        "AliyunOSSFullAccess" => (r#""oss:*""#, "*"),
        _ => panic!("no such system policy: {name}"),
    };
    format!(
        r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":{action},"Resource":"{resource}"}}]}}"#
    )
}
