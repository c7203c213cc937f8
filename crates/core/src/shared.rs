//! Calls that several attempts share: their lane learns one outcome of each, however many tell it.

use std::collections::VecDeque;

use crate::Moment;
use crate::breaker::Means;

/// One call at a provider, unlike any other of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SharedCall(pub u64);

/// So many are remembered of a lane. What is forgotten counts again, for each of its members that is still to end.
const REMEMBERED: usize = 64;

/// What was learnt of one call so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Learnt {
    call: SharedCall,
    /// When it was counted as failed.
    failed: Option<Moment>,
    refused: bool,
}

/// What an attempt's end adds to what the others of its call told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// All that it says.
    First,
    /// Nothing.
    Echo,
    /// One had no time to wait for the answer, and was counted then: it came after all.
    Answered(Moment),
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SharedCalls(VecDeque<Learnt>);

impl SharedCalls {
    /// An attempt of this call ended. `refused`: with 429 or 529.
    pub(crate) fn learn(&mut self, now: Moment, call: SharedCall, means: Means, refused: bool) -> News {
        let failed = matches!(means, Means::Failed | Means::Down).then_some(now);
        if failed.is_none() && means != Means::Up && !refused {
            return News::First;
        }
        let Some(learnt) = self.0.iter_mut().find(|learnt| learnt.call == call) else {
            if self.0.len() == REMEMBERED {
                self.0.pop_front();
            }
            self.0.push_back(Learnt { call, failed, refused });
            return News::First;
        };
        match learnt.failed.filter(|_| means == Means::Up) {
            Some(at) => {
                learnt.failed = None;
                News::Answered(at)
            }
            None if refused && !learnt.refused => {
                learnt.refused = true;
                News::First
            }
            None => News::Echo,
        }
    }
}
