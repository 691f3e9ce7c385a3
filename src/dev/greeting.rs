//! The commands that `appserver dev` prints once it serves.

use std::net::SocketAddr;

use appserver_domain::clock::Clock;
use appserver_emulator::demo_jwt;

/// Writes the answer of `POST /v1/uploads` as curl's options, the file last, and sends the form.
const SEND_FORM: &str = r#"jq -r '"url=" + (.Url | @json), (.Fields | to_entries[] | "form-string=" + (.key + "=" + .value | @json)), "form-string=\"file=a photo\""' | curl -s -K -"#;

/// Commands that can be pasted into another terminal.
pub(crate) fn greeting(
    servers: &[(SocketAddr, SocketAddr)],
    emulated: &[(&str, SocketAddr)],
) -> String {
    let (public, admin) = servers[0];
    let others: String = servers[1..]
        .iter()
        .map(|(public, admin)| format!("Another on http://{public} (admin http://{admin}).\n"))
        .collect();
    let emulated: Vec<_> =
        emulated.iter().map(|(name, address)| format!("{name} http://{address}")).collect();
    let emulated = emulated.join(", ");
    let jwt = demo_jwt("alice", Clock::system().now());
    let form = signed(public, "uploads", &upload_of("cat.jpg"));
    let upload = format!("{} | {SEND_FORM}", signed(public, "uploads", &upload_of("dog.jpg")));
    let portrait = r#"{"Grant":"photo-upload","Method":"GET","Key":"users/alice/portrait.svg"}"#;
    let url = format!(r#"curl "$({} | jq -r .Url)""#, signed(public, "urls", portrait));
    format!(
        "
AppServer vends on http://{public} (admin http://{admin}, emulated {emulated}).
{others}
See a token work:
  http://{public}/dev/
A token that reads the photos of 2015-01-01 and nothing else:
  curl -u client-002:client-002-demo-secret http://{public}/v1/token
The photos of an album that the caller names:
  curl -u client-003:client-003-demo-secret 'http://{public}/v1/token?Parameters.album=2015'
Refused, because a wildcard would widen the policy:
  curl -u client-003:client-003-demo-secret 'http://{public}/v1/token?Parameters.album=*'
The photos of a user, whom their identity provider's token proves:
  curl -H \"Authorization: Bearer $(curl -s 'http://{public}/dev/jwt?user=alice' | jq -r .Jwt)\" http://{public}/v1/token
A form that uploads a photo of theirs without an SDK, which OSS takes within 15 minutes:
  {form}
Such a form, sent by curl; OSS takes it once, because it may not replace a photo, and answers what `dev`'s backend says to its report:
  {upload}
The reports that this backend took:
  curl http://{public}/dev/uploads
A URL that shows one of their photos:
  {url}
The token of the identity provider's user `alice`, good for an hour, for your own app to send:
  {jwt}
A token for an SDK that only supports a URL:
  curl \"$(curl -s -u client-002:client-002-demo-secret -X POST http://{public}/v1/tickets | jq -r .Url)\"
The grants of a client:
  curl -u client-002:client-002-demo-secret http://{public}/v1/whoami
The metrics:
  curl http://{admin}/metrics

Ctrl-C ends it."
    )
}

fn upload_of(name: &str) -> String {
    format!(r#"{{"Grant":"photo-upload","Name":"{name}","ContentType":"image/jpeg"}}"#)
}

/// A request of Alice's for a form or a URL.
fn signed(public: SocketAddr, what: &str, body: &str) -> String {
    let jwt = format!("$(curl -s 'http://{public}/dev/jwt?user=alice' | jq -r .Jwt)");
    format!(
        r#"curl -s -H "Authorization: Bearer {jwt}" -H 'Content-Type: application/json' -d '{body}' http://{public}/v1/{what}"#
    )
}
