//! Whether a caller's policies allow a call to RAM.

use crate::ram::{Decision, Policy, Principal, Ram, Request};

/// How a call is denied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PermissionDenied {
    Explicitly,
    Implicitly,
}

impl PermissionDenied {
    /// `NoPermissionType` of the answer.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Explicitly => "ExplicitDeny",
            Self::Implicitly => "ImplicitDeny",
        }
    }
}

/// The account itself may do everything; a session needs its role's policies and its session policy.
pub(super) fn check(
    ram: &Ram,
    principal: &Principal,
    request: &Request<'_>,
) -> Result<(), PermissionDenied> {
    match principal {
        Principal::Root(_) => Ok(()),
        Principal::User(user) => allowed(ram.decide(&user.account, &user.attached, request)),
        Principal::Session(session) => {
            let role = ram.role_of(session).ok_or(PermissionDenied::Implicitly)?;
            allowed(ram.decide(&role.account, &role.attached, request))?;
            let Some(json) = &session.policy else { return Ok(()) };
            // STS accepts only valid policies; an unreadable one denies everything.
            let policy = Policy::parse(json).map_err(|_| PermissionDenied::Implicitly)?;
            allowed(policy.decide(request))
        }
    }
}

fn allowed(decision: Decision) -> Result<(), PermissionDenied> {
    match decision {
        Decision::Allowed(_) => Ok(()),
        Decision::ExplicitlyDenied(_) => Err(PermissionDenied::Explicitly),
        Decision::ImplicitlyDenied => Err(PermissionDenied::Implicitly),
    }
}
