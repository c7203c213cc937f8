//! The cases of `measure budgets`.

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Calls,
    Tokens,
    Money,
}

impl Limit {
    /// The key of the configuration.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Calls => "calls_per_minute",
            Self::Tokens => "tokens_per_minute",
            Self::Money => "usd_per_day",
        }
    }

    /// The error that it is refused with.
    pub(super) fn code(self) -> &'static str {
        if self == Self::Money { "budget_exhausted" } else { "rate_limit" }
    }
}

/// Whom it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    Intent,
    Team,
    Key,
    Nobody,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) limit: Limit,
    pub(super) on: On,
    pub(super) stream: bool,
    /// Models of the scenario, in order.
    pub(super) models: &'static [&'static str],
    /// Attempts are made to fail.
    pub(super) fails: bool,
    /// So many attempts are hedged, at least. Then calls begin one after the other: of those that begin
    /// at once none knows how long is unusual, and few hedges are saved up.
    pub(super) hedges: usize,
    /// The budget is enough for so many times as many calls as in other cases.
    pub(super) times: usize,
    /// Who does not fit is answered by the last model, which is free.
    pub(super) steers: bool,
    /// Of what is enough so much is given out, at least. What is held is more than what is used, and
    /// attempts that fail or lose cost too.
    pub(super) least_percent: u64,
}

const PLAIN: Case = Case {
    name: "",
    limit: Limit::Calls,
    on: On::Intent,
    stream: false,
    models: &["good"],
    fails: false,
    hedges: 0,
    times: 1,
    steers: false,
    least_percent: 95,
};

/// Without a limit: what one call uses.
pub(super) const FREE: Case = Case { name: "one call", on: On::Nobody, ..PLAIN };
/// Without a limit: calls under one key.
pub(super) const REPEATED: Case = Case { name: "repeated", on: On::Nobody, ..PLAIN };

pub(super) const CASES: &[Case] = &[
    Case { name: "calls of an intent", least_percent: 100, ..PLAIN },
    Case { name: "calls of a key, streams", on: On::Key, stream: true, least_percent: 100, ..PLAIN },
    Case { name: "tokens of an intent", limit: Limit::Tokens, ..PLAIN },
    Case { name: "tokens of a team, streams", limit: Limit::Tokens, on: On::Team, stream: true, ..PLAIN },
    Case { name: "money of an intent", limit: Limit::Money, ..PLAIN },
    Case { name: "money of a team, streams", limit: Limit::Money, on: On::Team, stream: true, ..PLAIN },
    Case { name: "money of a key", limit: Limit::Money, on: On::Key, ..PLAIN },
    Case {
        name: "money, models that fail",
        limit: Limit::Money,
        models: &["flaky", "good"],
        fails: true,
        least_percent: 60,
        ..PLAIN
    },
    Case {
        name: "money, streams that break",
        limit: Limit::Money,
        stream: true,
        models: &["breaks", "good"],
        fails: true,
        least_percent: 30,
        ..PLAIN
    },
    Case {
        name: "money, hedges",
        limit: Limit::Money,
        on: On::Team,
        models: &["stalls", "good"],
        hedges: 50,
        times: 20,
        least_percent: 50,
        ..PLAIN
    },
    Case { name: "money, then a free model", limit: Limit::Money, models: &["good", "free"], steers: true, ..PLAIN },
];

/// The models. All of them say the same, so that an answer of any costs the same.
pub(super) const SCENARIO: &str = "
[models.good]
first_token_ms = { fixed = 30 }

[models.free]
first_token_ms = { fixed = 30 }

[models.flaky]
first_token_ms = { fixed = 30 }
errors = [{ status = 500, share = 0.3 }]
faults = [{ kind = \"cut_body\", share = 0.2 }]

[models.breaks]
first_token_ms = { fixed = 30 }
faults = [{ kind = \"cut_stream\", share = 0.3, after_tokens = 1 }, { kind = \"no_usage\", share = 0.2 }]

[models.stalls]
first_token_ms = { fixed = 30 }
faults = [{ kind = \"trickle\", share = 0.03, every_ms = 10 }]
";
