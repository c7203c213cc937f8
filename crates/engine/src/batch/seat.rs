//! What one attempt has used so far, and what it shared.

use std::sync::{Mutex, MutexGuard, PoisonError};

use baton_core::{BatchShare, NanoUsd, Prices, SharedCall, Usage};

/// What an attempt used, whoever asked on its behalf.
#[derive(Clone, Debug)]
pub(crate) struct Bill {
    pub(crate) usage: Usage,
    /// `None` where a price is not known.
    pub(crate) cost: Option<NanoUsd>,
    pub(crate) share: Option<BatchShare>,
    /// The call that it is in with others.
    call: Option<SharedCall>,
}

/// See the module. The attempt and the call that it shares write it, its execution reads it.
#[derive(Debug)]
pub(crate) struct Seat {
    bill: Mutex<Bill>,
    price: Option<Prices>,
    /// Wall clock that prices are looked up by.
    at_us: i64,
}

impl Seat {
    pub(super) fn new(price: Option<Prices>, at_us: i64) -> Self {
        let bill = Bill { usage: Usage::default(), cost: Some(NanoUsd(0)), share: None, call: None };
        Self { bill: Mutex::new(bill), price, at_us }
    }

    /// As far as it is known now.
    pub(crate) fn bill(&self) -> Bill {
        self.lock().clone()
    }

    /// What this costs at its model.
    pub(super) fn cost(&self, usage: &Usage) -> Option<NanoUsd> {
        self.price.as_ref()?.cost(usage, self.at_us)
    }

    /// A call of its own used this.
    pub(super) fn used(&self, usage: Usage) {
        self.paid(usage, self.cost(&usage));
    }

    /// Its part of a call is this.
    pub(super) fn paid(&self, usage: Usage, cost: Option<NanoUsd>) {
        let mut bill = self.lock();
        bill.usage += usage;
        bill.cost = bill.cost.zip(cost).map(|(before, more)| before + more);
    }

    /// The call that it is in with others, if it is in one.
    pub(crate) fn call(&self) -> Option<SharedCall> {
        self.lock().call
    }

    /// It is in this call from now on.
    pub(super) fn joins(&self, call: SharedCall) {
        self.lock().call = Some(call);
    }

    /// What it shared.
    pub(super) fn shares(&self, share: BatchShare) {
        self.lock().share = Some(share);
    }

    /// It is asked for alone, and why. What it paid of a shared call before that saved nothing.
    pub(super) fn goes_alone(&self, why: &str) {
        let mut bill = self.lock();
        bill.call = None;
        let spent = bill.usage.input_tokens + bill.usage.output_tokens;
        let (lost, cost) = (-i64::try_from(spent).unwrap_or(i64::MAX), bill.cost.map(|cost| NanoUsd(-cost.0)));
        let share = bill.share.get_or_insert_with(|| BatchShare { items: 1, ..BatchShare::default() });
        share.alone = Some(why.to_owned());
        (share.tokens_saved, share.saved) = (lost, cost);
    }

    fn lock(&self) -> MutexGuard<'_, Bill> {
        self.bill.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
