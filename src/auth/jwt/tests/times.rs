//! Whose login has an end, and which.

use super::*;

#[test]
fn a_login_ends_with_its_token_where_the_issuer_is_configured_so() {
    let bound = |bound_by_token| Issuer { bound_by_token, ..issuer("https://login.example.com/") };
    let until = |issuer| verify_with(issuer, &good()).unwrap().until();
    let exp = now() + TimeDelta::seconds(3600);
    assert_eq!(until(bound(true)), Some(exp), "to the letter, without leeway");
    assert_eq!(until(bound(false)), None);
}
