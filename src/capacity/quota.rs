//! STS's quota, and the budget that spends it.

/// The most that `vend.budget.calls_per_second` can be.
const MAX_BUDGET: u32 = 10_000;

/// STS's quota in one or more accounts, each of which has an upstream with a budget.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Quota {
    /// Of each account.
    pub(crate) calls_per_second: u32,
    pub(crate) accounts: u32,
}

impl Quota {
    /// The largest of one account that a budget can spend.
    pub(crate) const MAX: u32 = least_for(MAX_BUDGET);

    pub(super) fn of_one_account(calls_per_second: u32) -> Self {
        Self { calls_per_second, accounts: 1 }
    }

    /// The least one, in as few accounts as possible, whose budgets allow this many calls a second.
    pub(super) fn allowing(calls_per_second: f64) -> Self {
        let accounts = (calls_per_second / f64::from(MAX_BUDGET)).ceil().max(1.0);
        let budget = (calls_per_second / accounts).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let (accounts, budget) = (accounts as u32, (budget as u32).min(MAX_BUDGET));
        Self { calls_per_second: least_for(budget), accounts }
    }

    /// `vend.budget.calls_per_second` of each account: nine tenths of its quota. With a burst of 10, the default of 90 fills
    /// a quota of 100.
    pub(crate) fn budget_of_account(self) -> u32 {
        let (tens, rest) = (self.calls_per_second / 10, self.calls_per_second % 10);
        (tens * 9 + rest * 9 / 10).max(1)
    }

    /// Calls a second that AppServer makes at most.
    pub(super) fn budget(self) -> f64 {
        f64::from(self.accounts) * f64::from(self.budget_of_account())
    }
}

/// The least quota of which nine tenths are this budget.
const fn least_for(budget: u32) -> u32 {
    (budget * 10).div_ceil(9)
}
