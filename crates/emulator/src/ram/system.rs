//! Alibaba Cloud's system policies that the emulator knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::Document;
use super::policy::Policy;

/// The system policies, by name.
#[derive(Clone, Debug)]
pub(crate) struct SystemPolicies(Arc<BTreeMap<&'static str, SystemPolicy>>);

#[derive(Debug)]
pub(crate) struct SystemPolicy {
    pub(crate) description: &'static str,
    pub(crate) document: Document<Policy>,
}

/// Name, description and JSON.
const SYSTEM_POLICIES: [(&str, &str, &str); 6] = [
    (
        "AdministratorAccess",
        "Provides full access to Alibaba Cloud services and resources.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    ),
    (
        "AliyunOSSFullAccess",
        "Provides full access to Object Storage Service via Management Console.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*"}]}"#,
    ),
    (
        "AliyunOSSReadOnlyAccess",
        "Provides read-only access to Object Storage Service via Management Console.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:Get*","oss:List*"],"Resource":"*"}]}"#,
    ),
    (
        "AliyunRAMFullAccess",
        "Provides full access to Resource Access Management (RAM) via Management Console.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"ram:*","Resource":"*"}]}"#,
    ),
    (
        "AliyunRAMReadOnlyAccess",
        "Provides read-only access to Resource Access Management (RAM) via Management Console.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["ram:Get*","ram:List*"],"Resource":"*"}]}"#,
    ),
    (
        "AliyunSTSAssumeRoleAccess",
        "Provides access to AssumeRole of Security Token Service (STS).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}"#,
    ),
];

impl Default for SystemPolicies {
    fn default() -> Self {
        let parsed = SYSTEM_POLICIES.map(|(name, description, json)| {
            let document = Document::parse(json).expect("a test parses every system policy");
            (name, SystemPolicy { description, document })
        });
        Self(Arc::new(parsed.into()))
    }
}

impl SystemPolicies {
    pub(crate) fn get(&self, name: &str) -> Option<&SystemPolicy> {
        self.0.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Request;
    use super::*;

    #[test]
    fn each_system_policy_allows_what_its_name_says() {
        let system = SystemPolicies::default();
        let allowed = SYSTEM_POLICIES.map(|(name, ..)| {
            let policy = system.get(name).unwrap().document.parsed();
            ["sts:AssumeRole", "oss:GetObject", "oss:PutObject", "ram:GetRole", "ram:CreateRole"]
                .map(|action| policy.decide(&Request::new(action, "acs:any::1:thing")).is_allowed())
        });
        let expected = [
            [true, true, true, true, true],
            [false, true, true, false, false],
            [false, true, false, false, false],
            [false, false, false, true, true],
            [false, false, false, true, false],
            [true, false, false, false, false],
        ];
        assert_eq!(allowed, expected);
    }
}
