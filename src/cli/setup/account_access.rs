//! The options of the `setup` commands that look at an account: its services' endpoints, and an administrator's AccessKey.

use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use super::plan_source::PlanSource;
use crate::cli::administrator_key::{ID, SECRET, administrator_key};
use crate::cli::failure::{EXIT_NOT_EXAMINED, Failure};
use crate::cli::output::note;
use crate::config::{IdentitySource, environment};
use crate::ram::{RamClient, RamError, RamSettings};
use crate::setup::drift::Needs;
use crate::setup::plan::AccountPlan;
use crate::sts::Endpoint;
use crate::telemetry::with_causes;
use appserver_domain::Invalid;
use appserver_domain::clock::Clock;

/// Before the command says what it waits for.
const QUIET: Duration = Duration::from_secs(5);

const PERMISSIONS: &str =
    "reading needs AliyunRAMReadOnlyAccess, `setup apply` AliyunRAMFullAccess";

#[derive(Clone, Debug, Args)]
pub(super) struct AccountAccess {
    #[command(flatten)]
    source: PlanSource,
    /// RAM's endpoint; `http` only on loopback
    #[arg(long, value_name = "URL", default_value = "https://ram.aliyuncs.com", value_parser = endpoint)]
    ram_endpoint: Endpoint,
    /// IMS's endpoint; `http` only on loopback
    #[arg(long, value_name = "URL", default_value = "https://ims.aliyuncs.com", value_parser = endpoint)]
    ims_endpoint: Endpoint,
}

/// A plan, and the account that it is for.
pub(super) struct Account {
    pub(super) plan: AccountPlan,
    pub(super) needs: Needs,
    pub(super) ram: RamClient,
    /// Where the configuration reads an AccessKey from.
    pub(super) identity: IdentitySource,
    /// The services that are called, for a person who waits for them.
    hosts: String,
}

impl AccountAccess {
    /// Makes the plan and a client. Nothing is sent yet.
    pub(super) fn open(&self) -> Result<Account, Failure> {
        let (settings, plan) = self.source.settings_and_plan()?;
        let key = administrator_key(&environment(), PERMISSIONS)?;
        let sts = settings.sts.endpoints.iter().next().cloned().unwrap_or_default();
        let (ram, ims) = (self.ram_endpoint.clone(), self.ims_endpoint.clone());
        let [of_sts, of_ram, of_ims] = [&sts, &ram, &ims].map(Endpoint::authority);
        let hosts = format!("STS at {of_sts}, RAM at {of_ram} or IMS at {of_ims}");
        let settings_of_ram = RamSettings { ram, ims, sts, account: plan.account.clone() };
        let egress = settings.egress.read()?.sts;
        let ram = RamClient::new(settings_of_ram, key, egress, Clock::system());
        let ram = ram.map_err(|error| Failure::new(EXIT_NOT_EXAMINED, with_causes(&error)))?;
        let (needs, identity) = (Needs::of(&settings), settings.identity);
        Ok(Account { plan, needs, ram, identity, hosts })
    }
}

impl Account {
    /// What the account answers. If that takes long, the command says what it waits for.
    pub(super) async fn answer<T>(&self, calls: impl Future<Output = T>) -> T {
        let mut calls = std::pin::pin!(calls);
        tokio::select! {
            answer = &mut calls => return answer,
            () = sleep(QUIET) => note(format_args!("waiting for {} to answer", self.hosts)),
        }
        calls.await
    }

    /// Whether the administrator is one of the account.
    pub(super) async fn check_administrator(&self) -> Result<(), Failure> {
        let identity = self.ram.identity().await.map_err(failed)?;
        let (theirs, planned) = (&identity.account, &self.plan.account);
        if theirs == planned {
            return Ok(());
        }
        let message = format!(
            "the administrator's AccessKey is of account {theirs} ({}), and --account is {planned}: set {ID} and {SECRET} \
             to a key of account {planned}",
            identity.arn,
        );
        Err(Failure::new(EXIT_NOT_EXAMINED, message))
    }
}

/// A call to the account failed.
pub(super) fn failed(error: RamError) -> Failure {
    Failure::new(EXIT_NOT_EXAMINED, with_causes(&error))
}

fn endpoint(raw: &str) -> Result<Endpoint, Invalid> {
    Endpoint::try_from(raw.to_owned())
}
