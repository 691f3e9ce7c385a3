//! The budgets of all upstreams: one for each account, whose quota at STS its upstreams share.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::budget::Budget;
use super::settings::BudgetSettings;
use crate::store::Store;
use crate::telemetry::VendMetrics;
use appserver_domain::{AccountId, UpstreamName};

/// The budgets by account. An upstream's account is known once STS has verified its credentials.
#[derive(Debug)]
pub(crate) struct Budgets {
    /// Held for a lookup, never across an await.
    of_accounts: Mutex<HashMap<AccountId, Arc<Budget>>>,
    store: Arc<Store>,
    /// Whether there are several upstreams: the names of their budgets in Redis contain the account then.
    are_several: bool,
    metrics: VendMetrics,
}

impl Budgets {
    pub(crate) fn new(store: Arc<Store>, are_several: bool, metrics: VendMetrics) -> Self {
        Self { of_accounts: Mutex::default(), store, are_several, metrics }
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// A budget for an upstream whose account is not known yet, which makes no calls.
    pub(super) fn unused(&self, settings: BudgetSettings) -> Arc<Budget> {
        self.budget(settings, None)
    }

    /// The budget of the account. Of different settings the smaller values apply.
    pub(super) fn of_account(
        &self,
        account: &AccountId,
        upstream: &UpstreamName,
        settings: BudgetSettings,
    ) -> Arc<Budget> {
        let mut of_accounts = self.of_accounts.lock();
        let budget = of_accounts
            .entry(account.clone())
            .or_insert_with(|| self.budget(settings, self.are_several.then(|| account.clone())));
        if budget.settings() != settings {
            let BudgetSettings { per_second, burst, .. } = budget.restrict(settings);
            tracing::warn!(
                upstream.name = upstream.as_str(),
                budget.calls_per_second = per_second,
                budget.burst = burst,
                "upstreams of one account have different budgets; the smaller values apply to all of them"
            );
        }
        Arc::clone(budget)
    }

    fn budget(&self, settings: BudgetSettings, account: Option<AccountId>) -> Arc<Budget> {
        Arc::new(Budget::new(settings, account, Arc::clone(&self.store), self.metrics.clone()))
    }
}
