//! XML for RPC calls without `Format`, JSON for ACS3.

use super::*;

#[tokio::test]
async fn rpc_is_answered_in_xml_whose_lists_repeat_their_items() {
    let emulated = Emulated::start().await;
    let call = ram("ListAccessKeys", &[("UserName", "appserver")]).without("Format");
    let Answered { status, body } = emulated.ram(&call).await;
    let key = |id: &str, status: &str| {
        format!(
            "<AccessKey><AccessKeyId>{id}</AccessKeyId><Status>{status}</Status><CreateDate>1970-01-01T00:00:00Z</CreateDate></AccessKey>"
        )
    };
    let keys = [key("disabledid", "Inactive"), key("nextid", "Active"), key("testid", "Active")];
    let expected = format!("<AccessKeys>{}</AccessKeys>", keys.concat());
    let body = body.as_str().unwrap();
    assert_eq!(status, 200);
    let order = |text: &str| {
        let mut names: Vec<String> = text.split('<').map(str::to_owned).collect();
        names.sort();
        names
    };
    assert!(body.starts_with("<?xml version='1.0' encoding='UTF-8'?><ListAccessKeysResponse>"));
    let list = &body[body.find("<AccessKeys>").unwrap()..body.find("</AccessKeys>").unwrap()];
    assert_eq!(order(list), order(expected.strip_suffix("</AccessKeys>").unwrap()));
    let empty = ram("ListPoliciesForUser", &[("UserName", "intern")]).without("Format");
    let body = emulated.ram(&empty).await.body;
    assert!(body.as_str().unwrap().contains("<Policies></Policies>"), "{body}");
    let refused = ram("GetRole", &[("RoleName", "b")]).without("Format");
    let body = emulated.ram(&refused).await.body;
    let host = "<HostId>ram.aliyuncs.com</HostId>";
    let text = body.as_str().unwrap();
    assert!(text.contains("<Error>") && text.contains(host), "{body}");
}
