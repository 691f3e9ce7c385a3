//! The options that every `setup` command makes its plan of.

use appserver_domain::{AccountId, UpstreamName, UserName};
use clap::Args;
use ipnet::IpNet;

use crate::cli::config_files::ConfigFiles;
use crate::cli::failure::{EXIT_CONFIG, Failure};
use crate::config::{Mode, Settings};
use crate::setup::plan::{
    AccountPlan, OidcAudience, OidcIssuer, OidcSubject, PlanError, PlanOptions, TrustedToken,
};

#[derive(Clone, Debug, Args)]
pub(super) struct PlanSource {
    #[command(flatten)]
    config: ConfigFiles,
    /// The number of the account that the roles' ARNs name, such as 11223344
    #[arg(long, value_name = "UID")]
    account: AccountId,
    /// The name of the RAM user whose AccessKey AppServer uses; with `sts.identity.source = "ecs-ram-role"`, of its role, if the
    /// configuration names none
    #[arg(long, value_name = "NAME", default_value = "appserver")]
    user: UserName,
    /// Whose identity and roles are planned, if the configuration has several upstreams: a key of `sts.upstreams`, or `default`
    #[arg(long, value_name = "NAME")]
    upstream: Option<UpstreamName>,
    /// An address or a range from which the AccessKey may be used; may be repeated
    #[arg(long, value_name = "CIDR", value_parser = network)]
    egress: Vec<IpNet>,
    /// With `sts.identity.source = "oidc"`: the `iss` of the tokens for which STS gives the identity's role
    #[arg(long, value_name = "URL", requires_all = ["oidc_audience", "oidc_subject"])]
    oidc_issuer: Option<OidcIssuer>,
    /// Their `aud`, for RRSA `sts.aliyuncs.com`; may be repeated
    #[arg(long, value_name = "AUD", requires_all = ["oidc_issuer", "oidc_subject"])]
    oidc_audience: Vec<OidcAudience>,
    /// Their `sub`, for RRSA `system:serviceaccount:<namespace>:<service account>`
    #[arg(long, value_name = "SUB", requires_all = ["oidc_issuer", "oidc_audience"])]
    oidc_subject: Option<OidcSubject>,
}

impl PlanSource {
    /// Reads the configuration, without its secrets: an account without a key yet has no key files yet.
    pub(super) fn plan(&self) -> Result<AccountPlan, Failure> {
        Ok(self.settings_and_plan()?.1)
    }

    /// The plan with the settings that it is made of.
    pub(super) fn settings_and_plan(&self) -> Result<(Settings, AccountPlan), Failure> {
        // Nothing is served, so the demo's configuration is accepted too.
        let settings = self.config.load(Mode::Demo)?.of_upstream(self.upstream.as_ref());
        let settings = settings.map_err(|error| Failure::new(EXIT_CONFIG, error))?;
        let options = PlanOptions {
            account: self.account.clone(),
            user: self.user.clone(),
            egress: self.egress.clone(),
            oidc: self.token(),
        };
        let plan = AccountPlan::of(&settings, &options);
        let plan = plan.map_err(|error| Failure::new(EXIT_CONFIG, self.without_plan(&error)))?;
        Ok((settings, plan))
    }

    /// Why there is no plan.
    fn without_plan(&self, error: &PlanError) -> String {
        match (error, &self.upstream) {
            (PlanError::NoGrants, Some(upstream)) => format!(
                "no grant has a role of the upstream `{upstream}`, so it needs nothing: set `upstream` in the `[roles.NAME]` of \
                 a grant, or give another --upstream"
            ),
            (error, _) => error.to_string(),
        }
    }

    fn token(&self) -> Option<TrustedToken> {
        let (issuer, subject) = self.oidc_issuer.clone().zip(self.oidc_subject.clone())?;
        Some(TrustedToken { issuer, audiences: self.oidc_audience.clone(), subject })
    }
}

fn network(raw: &str) -> Result<IpNet, &'static str> {
    let address = raw.parse::<std::net::IpAddr>().map(IpNet::from);
    address.or_else(|_| raw.parse()).map_err(
        |_| "an address or a range, such as `203.0.113.1`, `198.51.100.0/24` or `2001:db8::/32`",
    )
}
