//! Refusals of RAM, IMS and STS by their `Code`, each with its way out.

use reqwest::StatusCode;

use super::call::RamCall;
use super::error::{InvalidAnswer, RamProblem};
use crate::sts::{ErrorCode, RequestId};
use appserver_domain::AccountId;
use serde_json::Value;

/// A refusal: the same call again is refused again. The texts are for operators.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "the administrator's AccessKey may not do it (NoPermission); allow `{action}` on `{resource}`, for example by \
         AliyunRAMFullAccess, or AliyunRAMReadOnlyAccess for `setup check`"
    )]
    NoPermission { action: String, resource: String },
    #[error(
        "RAM is not active in the account (Inactive); open the RAM console once and activate it"
    )]
    Inactive,
    #[error("it exists already ({0})")]
    AlreadyExists(ErrorCode),
    #[error(
        "it does not exist ({0}); if it was just created, wait a minute and run the command again"
    )]
    NotExist(ErrorCode),
    #[error("{what} ({code}); {way_out}")]
    LimitExceeded { code: ErrorCode, what: &'static str, way_out: &'static str },
    #[error(
        "the administrator's AccessKey does not exist ({0}); set ALIBABA_CLOUD_ACCESS_KEY_ID to one of this cloud"
    )]
    KeyUnknown(ErrorCode),
    #[error("the administrator's AccessKey is disabled ({0}); enable it or use another")]
    KeyDisabled(ErrorCode),
    #[error(
        "this machine's address, as {service} sees it (behind a NAT or a proxy, theirs), is outside the network policy of the \
         administrator's AccessKey ({code}); run the command from an address of it, or add this one to it"
    )]
    KeyNetwork { service: &'static str, code: ErrorCode },
    #[error(
        "the administrator's AccessKey is not accepted ({0}); look at its status and its network policy in RAM, or use another"
    )]
    KeyRefused(ErrorCode),
    #[error(
        "the secret is not that of the AccessKey (SignatureDoesNotMatch); set ALIBABA_CLOUD_ACCESS_KEY_SECRET to the \
         secret of ALIBABA_CLOUD_ACCESS_KEY_ID"
    )]
    WrongSecret,
    #[error(
        "the security token is not valid ({0}); obtain a new one for ALIBABA_CLOUD_SECURITY_TOKEN, with its id and secret"
    )]
    SecurityToken(ErrorCode),
    #[error("the policy is longer than RAM admits ({0}); give the role fewer or shorter grants")]
    PolicyTooLong(ErrorCode),
    #[error(
        "RAM does not accept the policy (MalformedPolicyDocument); a trust policy can name only users and roles that exist"
    )]
    MalformedPolicy,
    #[error("a parameter is not accepted ({0}); use a name or value that RAM admits")]
    Parameter(ErrorCode),
    #[error("it is refused ({0}); look the code up at https://api.aliyun.com/troubleshoot")]
    Other(ErrorCode),
}

/// The problem that an error answer reports, by its `Code`; by its status only without one.
pub(super) fn classify(
    status: StatusCode,
    answer: Option<&Value>,
    call: &RamCall<'_>,
    account: &AccountId,
) -> RamProblem {
    let service = call.service.name();
    let text = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| answer?.get(name)?.as_str());
        found.map(str::to_owned)
    };
    let unavailable = || RamProblem::Unavailable { service, status: status.as_u16() };
    let Some(code) = text(["Code", "code"]).and_then(|code| code.parse::<ErrorCode>().ok()) else {
        return match status {
            StatusCode::TOO_MANY_REQUESTS => RamProblem::Throttled(service),
            status if status.is_server_error() => unavailable(),
            status => RamProblem::invalid(call.service, InvalidAnswer::Status(status.as_u16())),
        };
    };
    let name = code.as_str().to_owned();
    let starts_with = |prefix: &str| name.starts_with(prefix);
    let refusal = match name.as_str() {
        "InternalError" | "ServiceUnavailable" | "UnknownError" => return unavailable(),
        _ if starts_with("Throttling") || name == "Rejected.Throttling" => {
            return RamProblem::Throttled(service);
        }
        "SignatureNonceUsed" => return RamProblem::NonceUsed(service),
        "InvalidTimeStamp.Expired" => return RamProblem::ClockSkewed(service),
        "NoPermission" | "Forbidden.RAM" | "AuthenticationFail.NoPermission" => {
            let (action, subject) = (call.action, &call.subject);
            let resource = format!("acs:ram:*:{account}:{subject}");
            Refusal::NoPermission { action: format!("ram:{action}"), resource }
        }
        "Inactive" => Refusal::Inactive,
        "InvalidAccessKeyId.Inactive" => Refusal::KeyDisabled(code),
        "SignatureDoesNotMatch" | "IncompleteSignature" => Refusal::WrongSecret,
        "MalformedPolicyDocument" => Refusal::MalformedPolicy,
        "InvalidAccessKeyId.NetworkNotAllowed" => Refusal::KeyNetwork { service, code },
        "InvalidAccessKeyId" | "InvalidAccessKeyId.NotFound" => Refusal::KeyUnknown(code),
        _ if starts_with("InvalidAccessKeyId.") => Refusal::KeyRefused(code),
        _ if starts_with("InvalidSecurityToken") || name == "MissingSecurityToken" => {
            Refusal::SecurityToken(code)
        }
        _ if starts_with("EntityAlreadyExist") => Refusal::AlreadyExists(code),
        _ if starts_with("EntityNotExist") => Refusal::NotExist(code),
        _ if starts_with("LimitExceeded") => {
            let (what, way_out) = limit(&name);
            Refusal::LimitExceeded { code, what, way_out }
        }
        _ if starts_with("InvalidParameter") && name.ends_with("PolicyDocument.Length") => {
            Refusal::PolicyTooLong(code)
        }
        _ if starts_with("InvalidParameter") || starts_with("Missing") => Refusal::Parameter(code),
        _ if status.is_server_error() => return unavailable(),
        _ => Refusal::Other(code),
    };
    // Only an id of RAM's form is repeated.
    let id = text(["RequestId", "requestId"]).and_then(|id| id.parse::<RequestId>().ok());
    RamProblem::Refused { refusal, request_id: id.map(|id| id.as_str().to_owned()) }
}

/// Which count is at its limit, and what to delete.
fn limit(code: &str) -> (&'static str, &'static str) {
    match code {
        "LimitExceeded.User.AccessKey" => (
            "the user has as many AccessKeys as RAM admits, two by default",
            "delete one that nothing uses any more: `aliyun ram DeleteAccessKey`",
        ),
        "LimitExceeded.Policy.Version" => (
            "the policy has as many versions as RAM admits, five by default",
            "delete an old one: `aliyun ram DeletePolicyVersion`",
        ),
        "LimitExceeded.User.Policy" => (
            "the user has as many policies attached as RAM admits, five custom ones by default",
            "detach one: `aliyun ram DetachPolicyFromUser`",
        ),
        "LimitExceeded.Role.Policy" => (
            "the role has as many policies attached as RAM admits, five custom ones by default",
            "detach one, `aliyun ram DetachPolicyFromRole`, or give the role fewer grants",
        ),
        "LimitExceeded.Role" => (
            "the account has as many roles as RAM admits",
            "delete one that nothing uses, or ask Alibaba for a higher quota",
        ),
        "LimitExceeded.User" => (
            "the account has as many users as RAM admits",
            "delete one that nothing uses, or ask Alibaba for a higher quota",
        ),
        "LimitExceeded.Policy" => (
            "the account has as many custom policies as RAM admits",
            "delete one that nothing uses, or ask Alibaba for a higher quota",
        ),
        _ => (
            "a count is at the limit of the account",
            "delete what nothing uses, or ask Alibaba for a higher quota",
        ),
    }
}
