//! Alibaba Cloud's system policies that the emulator knows.

/// The JSON of a system policy.
pub(crate) fn system_policy(name: &str) -> Option<&'static str> {
    match name {
        "AliyunSTSAssumeRoleAccess" => Some(
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}"#,
        ),
        "AliyunOSSReadOnlyAccess" => Some(
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:Get*","oss:List*"],"Resource":"*"}]}"#,
        ),
        "AliyunOSSFullAccess" => Some(
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*"}]}"#,
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Policy, Request};
    use super::*;

    #[test]
    fn each_system_policy_allows_what_its_name_says() {
        let names = ["AliyunSTSAssumeRoleAccess", "AliyunOSSReadOnlyAccess", "AliyunOSSFullAccess"];
        let allowed = names.map(|name| {
            let policy = Policy::parse(system_policy(name).unwrap()).unwrap();
            ["sts:AssumeRole", "oss:GetObject", "oss:ListObjects", "oss:PutObject"]
                .map(|action| policy.decide(&Request::new(action, "acs:any::1:thing")).is_allowed())
        });
        let expected =
            [[true, false, false, false], [false, true, true, false], [false, true, true, true]];
        assert_eq!(allowed, expected);
    }
}
