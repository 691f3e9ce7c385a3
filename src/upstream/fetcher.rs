//! Asks a source for credentials, once.

use std::time::Duration;

use reqwest::{Client, Response};
use tokio::time::{Instant, timeout};

use super::document::{self, Code};
use super::error::FetchError;
use super::oidc_token::OidcTokenFile;
use super::settings::{OidcRole, RenewedIdentity};
use super::{credentials_uri, ecs_ram_role};
use crate::outbound::{self, read_body};
use crate::sts::{AssumeRoleWithOidc, StsClient};
use appserver_domain::SigningCredentials;
use appserver_domain::clock::Clock;

/// For all requests of one renewal together. Metadata answers within milliseconds, STS within a second.
const TIMEOUT: Duration = Duration::from_secs(15);
/// For one connection to metadata or to a credentials URI.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks one source.
#[derive(Debug)]
pub(crate) struct Fetcher {
    source: FetcherSource,
    http: Client,
    timeout: Duration,
    clock: Clock,
}

#[derive(Debug)]
enum FetcherSource {
    Document(RenewedIdentity),
    Oidc(OidcRole, OidcTokenFile),
}

impl Fetcher {
    /// A fetcher that has not asked yet. Fails if the source needs TLS and the system has no CA certificates.
    pub(crate) fn new(identity: RenewedIdentity, clock: Clock) -> Result<Self, reqwest::Error> {
        // No proxy and no redirect, as for all outgoing calls: a metadata token must not leave the machine's host.
        let http = outbound::client(identity.is_encrypted());
        let http = http.connect_timeout(CONNECT_TIMEOUT).build()?;
        let source = match identity {
            RenewedIdentity::Oidc(role) => {
                let file = OidcTokenFile::new(role.token_file.clone());
                FetcherSource::Oidc(role, file)
            }
            other @ (RenewedIdentity::EcsRamRole(_) | RenewedIdentity::CredentialsUri(_)) => {
                FetcherSource::Document(other)
            }
        };
        Ok(Self { source, http, timeout: TIMEOUT, clock })
    }

    /// New credentials, or those that the source handed out before. They are complete and not expired.
    pub(crate) async fn fetch(&self, sts: &StsClient) -> Result<SigningCredentials, FetchError> {
        let fetched = timeout(self.timeout, self.ask(sts)).await;
        fetched.unwrap_or(Err(FetchError::TimedOut))
    }

    async fn ask(&self, sts: &StsClient) -> Result<SigningCredentials, FetchError> {
        match &self.source {
            FetcherSource::Oidc(OidcRole { role, provider, .. }, file) => {
                let token = file.read().await?;
                let asked = self.clock.moment();
                let call = AssumeRoleWithOidc { role, provider, token: &token, asked };
                let deadline = Instant::now() + self.timeout;
                sts.assume_role_with_oidc(&call, deadline).await.map_err(FetchError::Sts)
            }
            FetcherSource::Document(RenewedIdentity::EcsRamRole(settings)) => {
                let response = ecs_ram_role::ask(settings, &self.http).await?;
                self.read(response, Code::Required, sts).await
            }
            FetcherSource::Document(RenewedIdentity::CredentialsUri(uri)) => {
                let response = credentials_uri::ask(uri, &self.http).await?;
                self.read(response, Code::IfPresent, sts).await
            }
            FetcherSource::Document(RenewedIdentity::Oidc(_)) => {
                unreachable!("it has its own source")
            }
        }
    }

    async fn read(
        &self,
        mut response: Response,
        code: Code,
        sts: &StsClient,
    ) -> Result<SigningCredentials, FetchError> {
        let (now, obtained) = (sts.time_of(response.headers()), self.clock.moment());
        let body = read_body(&mut response, document::LONGEST).await?;
        document::parse(&body, code, now, obtained)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::outbound::Egress;
    use crate::sts::scripted::{Form, Reply, Scripted};
    use crate::sts::{Endpoint, StsSettings};
    use crate::telemetry::{Metrics, with_causes};
    use crate::upstream::{CredentialsUri, EcsRamRole, MetadataEndpoint};

    const NOW: &str = "2017-11-01T04:20:01Z";
    const DOCUMENT: &str = r#"{"AccessKeyId":"STS.1","AccessKeySecret":"canary-secret","Expiration":"2017-11-01T05:20:01Z","SecurityToken":"canary-token","Code":"Success"}"#;

    fn clock() -> Clock {
        Clock::manual(NOW.parse().unwrap())
    }

    fn sts(endpoint: Endpoint) -> StsClient {
        let settings = StsSettings {
            upstream: appserver_domain::UpstreamName::default(),
            endpoints: endpoint.into(),
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(5),
            max_attempts: NonZeroU32::MIN,
        };
        StsClient::new(settings, Egress::default(), None, clock(), Arc::new(Metrics::new()))
            .unwrap()
    }

    fn ok(body: &str) -> Reply {
        Reply::Answer("HTTP/1.1 200 OK".into(), body.into())
    }

    fn of(server: &Scripted, identity: impl Fn(String) -> RenewedIdentity) -> Fetcher {
        let url = server.url();
        Fetcher::new(identity(url), clock()).unwrap()
    }

    fn role(name: Option<&str>, imds_v1: bool) -> impl Fn(String) -> RenewedIdentity {
        move |url| {
            RenewedIdentity::EcsRamRole(EcsRamRole {
                role: name.map(|name| name.parse().unwrap()),
                endpoint: MetadataEndpoint::try_from(url).unwrap(),
                imds_v1,
            })
        }
    }

    fn uri(url: String) -> RenewedIdentity {
        RenewedIdentity::CredentialsUri(CredentialsUri::try_from(format!("{url}canary")).unwrap())
    }

    async fn fetch(server: &Scripted, fetcher: &Fetcher) -> Result<SigningCredentials, FetchError> {
        fetcher.fetch(&sts(server.endpoint())).await
    }

    fn request_lines(server: &Scripted) -> Vec<String> {
        let heads = server.seen().heads;
        heads.iter().map(|head| head.lines().next().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn the_instances_role_is_asked_for_with_a_metadata_token() {
        let server = Scripted::start(|number, _| match number {
            0 => ok("canary-metadata"),
            1 => ok("appserver-role"),
            _ => ok(DOCUMENT),
        })
        .await;
        let fetched = fetch(&server, &of(&server, role(None, false))).await.unwrap();
        assert_eq!(fetched.security_token().unwrap().expose_secret(), "canary-token");
        let expected = [
            "put /latest/api/token http/1.1",
            "get /latest/meta-data/ram/security-credentials/ http/1.1",
            "get /latest/meta-data/ram/security-credentials/appserver-role http/1.1",
        ];
        assert_eq!(request_lines(&server), expected);
        let heads = server.seen().heads;
        assert!(heads[0].contains("x-aliyun-ecs-metadata-token-ttl-seconds: 60\r\n"));
        assert!(
            heads[1..]
                .iter()
                .all(|head| { head.contains("x-aliyun-ecs-metadata-token: canary-metadata\r\n") })
        );
        assert!(heads.iter().all(|head| !head.contains("x-forwarded-for")));
    }

    #[tokio::test]
    async fn a_configured_role_and_version_1_need_one_request() {
        let server = Scripted::start(|_, _| ok(DOCUMENT)).await;
        fetch(&server, &of(&server, role(Some("my-role"), true))).await.unwrap();
        let expected = ["get /latest/meta-data/ram/security-credentials/my-role http/1.1"];
        assert_eq!(request_lines(&server), expected);
        assert!(!server.seen().heads[0].contains("metadata-token"));
    }

    /// A server that has version 1 only must not be used without being told so: a request that someone else makes this
    /// machine send could answer in its place.
    #[tokio::test]
    async fn a_server_without_version_2_is_not_asked_again_without_a_token() {
        for status in [400, 403, 404, 405, 302, 500] {
            let server = Scripted::start(move |number, _| match number {
                0 => Reply::Answer(format!("HTTP/1.1 {status} X\r\nlocation: /"), String::new()),
                _ => ok(DOCUMENT),
            })
            .await;
            let error = fetch(&server, &of(&server, role(None, false))).await.unwrap_err();
            assert!(matches!(error, FetchError::NoMetadataToken(told) if told == status));
            assert_eq!(server.seen().heads.len(), 1);
        }
    }

    #[tokio::test]
    async fn each_refusal_of_the_metadata_server_is_told_apart() {
        let answered = async |last: fn() -> Reply, name| {
            let server = Scripted::start(move |number, _| match number {
                0 => ok("metadata"),
                _ => last(),
            })
            .await;
            with_causes(&fetch(&server, &of(&server, role(name, false))).await.unwrap_err())
        };
        let not_found = || Reply::Answer("HTTP/1.1 404 X".into(), "canary".into());
        let forbidden = || Reply::Answer("HTTP/1.1 403 X".into(), "canary".into());
        let failed = || ok(r#"{"Code":"Failed"}"#);
        let html = || ok("<html>canary");
        let names = || ok("canary/../role");
        let long = || ok(&"canary".repeat(20_000));
        let all = [
            answered(not_found, None).await,
            answered(not_found, Some("role")).await,
            answered(forbidden, None).await,
            answered(failed, Some("role")).await,
            answered(html, Some("role")).await,
            answered(html, None).await,
            answered(names, None).await,
            answered(long, Some("role")).await,
            answered(long, None).await,
            answered(|| Reply::Cut, Some("role")).await.split(':').next().unwrap().to_owned(),
        ];
        assert!(all.iter().all(|told| !told.contains("canary")), "{all:#?}");
        insta::assert_snapshot!(all.join("\n"), @r"
the instance has no RAM role, or not the configured one: the metadata server answered HTTP status 404
the instance has no RAM role, or not the configured one: the metadata server answered HTTP status 404
the source answered HTTP status 403, not 200
the source's answer has the `Code` `Failed`, and not `Success`
the source's answer is not a JSON object
the source's answer is malformed at `/latest/meta-data/ram/security-credentials/`
the source's answer is malformed at `/latest/meta-data/ram/security-credentials/`
the source's answer cannot be read: the body is longer than 65536 bytes
the source's answer cannot be read: the body is longer than 4096 bytes
the source's answer cannot be read
");
    }

    #[tokio::test]
    async fn a_credentials_uri_is_asked_without_following_a_redirect() {
        let server = Scripted::start(|_, _| ok(DOCUMENT)).await;
        let fetched = fetch(&server, &of(&server, uri)).await.unwrap();
        assert_eq!(fetched.id().as_str(), "STS.1");
        assert_eq!(request_lines(&server), ["get /canary http/1.1"]);

        let target = server.url();
        let redirecting = Scripted::start(move |_, _| {
            Reply::Answer(format!("HTTP/1.1 302 X\r\nlocation: {target}"), String::new())
        })
        .await;
        let error = fetch(&redirecting, &of(&redirecting, uri)).await.unwrap_err();
        assert!(matches!(error, FetchError::Status(302)), "{error:?}");
        assert_eq!(server.seen().heads.len(), 1);
    }

    #[tokio::test]
    async fn a_source_that_does_not_answer_is_given_up_and_its_url_is_not_told() {
        let server = Scripted::start(|_, _| Reply::Hang).await;
        let mut fetcher = of(&server, uri);
        fetcher.timeout = Duration::from_millis(50);
        let error = fetch(&server, &fetcher).await.unwrap_err();
        assert!(matches!(error, FetchError::TimedOut), "{error:?}");

        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let nobody = Fetcher::new(uri(format!("http://127.0.0.1:{port}/")), clock()).unwrap();
        let error = fetch(&server, &nobody).await.unwrap_err();
        assert!(matches!(error, FetchError::Unreachable(_)), "{error:?}");
        let told = format!("{error:?} {}", with_causes(&error));
        assert!(!told.contains("canary"), "{told}");
    }

    const ANSWER: &str = r#"{"RequestId":"1-A","AssumedRoleUser":{"AssumedRoleId":"1:appserver","Arn":"acs:ram::11223344:role/appserver/appserver"},"Credentials":{"AccessKeyId":"STS.1","AccessKeySecret":"canary-secret","SecurityToken":"canary-token","Expiration":"2017-11-01T05:20:01Z"}}"#;

    /// The file is replaced between two renewals, as Kubernetes does.
    #[tokio::test]
    async fn the_oidc_token_is_read_at_each_renewal_and_sent_unsigned_in_the_form() {
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        let server = Scripted::start(|_, form: &Form| {
            if form["OIDCToken"] == "a.b.expired" {
                let body = r#"{"RequestId":"1-A","Code":"AuthenticationFail.OIDCToken.Expired","Message":"canary"}"#;
                return Reply::Answer("HTTP/1.1 401 X".into(), body.into());
            }
            ok(ANSWER)
        })
        .await;
        let identity = RenewedIdentity::Oidc(OidcRole {
            role: "acs:ram::11223344:role/appserver".to_owned().try_into().unwrap(),
            provider: "acs:ram::11223344:oidc-provider/ack".parse().unwrap(),
            token_file: token_file.clone(),
        });
        let fetcher = Fetcher::new(identity, clock()).unwrap();
        std::fs::write(&token_file, "a.b.first\n").unwrap();
        let fetched = fetch(&server, &fetcher).await.unwrap();
        let left = fetched.left(clock().moment()).unwrap();
        assert!((3590..=3600).contains(&left.as_secs()), "{left:?}");
        std::fs::write(&token_file, "a.b.second\n").unwrap();
        fetch(&server, &fetcher).await.unwrap();
        std::fs::write(&token_file, "a.b.expired\n").unwrap();
        let error = fetch(&server, &fetcher).await.unwrap_err();
        assert_eq!(error.kind(), "oidc_token_expired");
        assert!(!format!("{error:?} {}", with_causes(&error)).contains("canary"));

        let seen = server.seen();
        let tokens: Vec<_> = seen.forms.iter().map(|form| form["OIDCToken"].as_str()).collect();
        assert_eq!(tokens, ["a.b.first", "a.b.second", "a.b.expired"]);
        assert!(request_lines(&server).iter().all(|line| line == "post / http/1.1"));
        let names: Vec<_> = seen.forms[0].keys().map(String::as_str).collect();
        let expected = [
            "Action",
            "DurationSeconds",
            "Format",
            "OIDCProviderArn",
            "OIDCToken",
            "RoleArn",
            "RoleSessionName",
            "SignatureNonce",
            "Timestamp",
            "Version",
        ];
        assert_eq!(names, expected);
    }
}
