//! What the machine decides, told as transcripts on virtual time.
//!
//! A model's script says what its attempts do, one after the other, split by `;`. Each part is
//! `what@when`, in milliseconds after the attempt's start; an attempt without an end hangs.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Candidate, Claimant, Commit, Decision, Disposition, Event, Exec, Finish, LaneId, Lanes, ModelId, Moment,
    Observation, Policy, TeamId, Unproven, Verdict,
};

pub(super) const START: Moment = Moment::from_micros(100_000_000);

#[derive(Clone)]
pub(super) struct World {
    pub(super) policy: Policy,
    pub(super) models: Vec<(Candidate, &'static str)>,
    lanes: Lanes,
    /// When the last reader leaves, in ms.
    abandoned: Option<u64>,
    /// By how much the driver is late, in ms.
    pub(super) late: u64,
    /// Calls of others that are in the air at the start: when each ends, in ms, at which model, how.
    others: Vec<(u64, usize, Option<Disposition>)>,
}

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn seen(failed: Option<Disposition>, elapsed: u64) -> Observation {
    Observation {
        failed,
        elapsed: ms(elapsed),
        budget: ms(60_000),
        stream: false,
        first_token: None,
        breach: None,
        call: None,
    }
}

/// Two seconds, two retries, commit at the verdict, and these models with their scripts.
pub(super) fn world<const N: usize>(models: [(&'static str, &'static str); N]) -> World {
    let candidate = |(i, (name, script)): (usize, (&'static str, &'static str))| {
        let lane = LaneId(u32::try_from(i).unwrap());
        (Candidate { model: ModelId::new(name), lane, key: None, timeout: ms(60_000), price: None }, script)
    };
    World {
        policy: Policy {
            started: START,
            deadline: START + ms(2000),
            stream_end: START + ms(10_000),
            retries: 2,
            commit: Commit::AtVerdict,
            unproven: Unproven::Pass,
            judge: None,
            stream: None,
            hedge_share: 0.0,
            who: Claimant { team: TeamId::new("a"), share: 1 },
        },
        models: models.into_iter().enumerate().map(candidate).collect(),
        lanes: Lanes::new(N),
        abandoned: None,
        late: 0,
        others: Vec::new(),
    }
}

impl World {
    pub(super) fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    fn timeout(mut self, model: usize, timeout: u64) -> Self {
        self.models[model].0.timeout = ms(timeout);
        self
    }

    /// Lets a lane end some calls just before the start.
    pub(super) fn history(mut self, model: usize, calls: usize, failed: Option<Disposition>, elapsed: u64) -> Self {
        for _ in 0..calls {
            let lane = self.models[model].0.lane;
            self.lanes.admit(lane, START, &self.policy.who, false);
            self.lanes.observe(lane, START, &seen(failed, elapsed));
        }
        self
    }

    /// A call pays for a hedge of a model.
    pub(super) fn paid(mut self, model: usize) -> Self {
        self.lanes.called(self.models[model].0.lane, 1.0);
        self
    }

    /// So many places and waiters at a model, and a call of another on each that ends then, in ms.
    pub(super) fn busy<const N: usize>(
        mut self,
        model: usize,
        queue_max: usize,
        ends: [(u64, Option<Disposition>); N],
    ) -> Self {
        let lane = self.models[model].0.lane;
        self.lanes.set_bounds(lane, START, (u32::try_from(N).unwrap(), queue_max));
        for (end, failed) in ends {
            self.lanes.admit(lane, START, &self.policy.who, false);
            self.others.push((end, model, failed));
        }
        self.others.sort_by_key(|(end, ..)| *end);
        self
    }

    /// Lets the calls of others end that end until then, and says when the first of them did: it may
    /// wake somebody.
    fn others_end(&mut self, until: Moment) -> Option<Moment> {
        let (end, model, failed) = *self.others.first().filter(|(end, ..)| START + ms(*end) <= until)?;
        self.others.remove(0);
        let now = START + ms(end);
        self.lanes.observe(self.models[model].0.lane, now, &seen(failed, end));
        (!self.lanes.take_woken().is_empty()).then_some(now).or_else(|| self.others_end(until))
    }

    /// Drives the machine to its end; returns what happened and was decided, a line each.
    pub(super) fn transcript(mut self) -> String {
        let candidates: Arc<[Candidate]> = self.models.iter().map(|(c, _)| c.clone()).collect();
        let mut exec = Exec::new(self.policy.clone(), candidates, 7);
        let mut made = vec![0; self.models.len()];
        let mut events: Vec<(Moment, Event)> =
            self.abandoned.iter().map(|at| (START + ms(*at), Event::Abandoned)).collect();
        let (mut now, mut event, mut log) = (START, Event::Woke, String::new());
        for _ in 0..100 {
            let decision = exec.step(now, event, &mut self.lanes);
            event = Event::Woke;
            writeln!(log, "{:>5} {}", (now - START).as_millis(), self.show(&decision)).unwrap();
            match decision {
                Decision::Start(attempt) => {
                    let script = self.models[attempt.candidate].1.split(';').nth(made[attempt.candidate]);
                    made[attempt.candidate] += 1;
                    events.extend(parse(attempt.number, now, script.unwrap_or("hang")));
                    events.sort_by_key(|(at, _)| *at);
                }
                Decision::Wait(until) => {
                    let first = events.first().map_or(until, |(at, _)| until.min(*at));
                    let woken = self.others_end(first);
                    let until = woken.unwrap_or(until);
                    let next = woken.is_none() && events.first().is_some_and(|(at, _)| *at <= until);
                    (now, event) = if next { events.remove(0) } else { (until, Event::Woke) };
                    now = now + ms(self.late);
                    writeln!(log, "{:>5}   {}", (now - START).as_millis(), show_event(event)).unwrap();
                }
                Decision::Cancel { attempt, .. } | Decision::Detach { attempt, .. } => {
                    events.retain(|(_, event)| attempt_of(event) != Some(attempt))
                }
                Decision::Done(_) => return log,
                Decision::Skip { .. } | Decision::Queue { .. } | Decision::Judge { .. } | Decision::Commit(_) => {}
            }
        }
        panic!("it never ends:\n{log}");
    }

    fn show(&self, decision: &Decision) -> String {
        let name = |candidate: usize| self.models[candidate].0.model.as_str();
        match decision {
            Decision::Start(a) => {
                format!("start {} {} {:?} within {} ms", a.number, name(a.candidate), a.kind, a.budget.as_millis())
            }
            Decision::Skip { candidate, kind, outcome } => {
                format!("skip {} {kind:?} {}", name(*candidate), outcome.as_str())
            }
            Decision::Cancel { attempt, disposition, breach } => {
                format!("cancel {attempt} {disposition:?}{}", breach.map(|b| format!(": {b}")).unwrap_or_default())
            }
            Decision::Detach { attempt, disposition, until, .. } => {
                format!("detach {attempt} {disposition:?} until {}", (*until - START).as_millis())
            }
            Decision::Queue { candidate, .. } => format!("queue at {}", name(*candidate)),
            Decision::Judge { attempt, budget } => format!("judge {attempt} within {} ms", budget.as_millis()),
            Decision::Commit(attempt) => format!("commit {attempt}"),
            Decision::Wait(until) => format!("wait until {}", (*until - START).as_millis()),
            Decision::Done(Finish::Answered { attempt, verified }) => {
                format!("done: {attempt} answered{}", if *verified { ", verified" } else { "" })
            }
            Decision::Done(Finish::Failed { code, retry_after }) => match retry_after {
                Some(after) => format!("done: {}, retry after {} ms", code.as_str(), after.as_millis()),
                None => format!("done: {}", code.as_str()),
            },
            Decision::Done(Finish::Broken { attempt, code }) => format!("done: {attempt} broken, {}", code.as_str()),
            Decision::Done(Finish::Cancelled) => "done: cancelled".into(),
        }
    }
}

fn show_event(event: Event) -> String {
    match event {
        Event::Woke => "woke".into(),
        Event::Progress { attempt, chunks, .. } => format!("{attempt} has {chunks} chunks"),
        Event::Answered { attempt, verdict } => format!("{attempt} answered, {verdict:?}"),
        Event::Held { attempt, give, ask, .. } => match ask {
            Some(ask) => format!("{attempt} held, {give} the best, ask {ask}"),
            None => format!("{attempt} held, give {give}"),
        },
        Event::Judged { attempt, verdict } => format!("{attempt} judged, {verdict:?}"),
        Event::Failed { attempt, disposition } => format!("{attempt} failed, {disposition:?}"),
        Event::Abandoned => "abandoned".into(),
    }
}

fn attempt_of(event: &Event) -> Option<usize> {
    match *event {
        Event::Progress { attempt, .. }
        | Event::Answered { attempt, .. }
        | Event::Held { attempt, .. }
        | Event::Judged { attempt, .. }
        | Event::Failed { attempt, .. } => Some(attempt),
        Event::Woke | Event::Abandoned => None,
    }
}

fn parse(attempt: usize, started: Moment, script: &str) -> Vec<(Moment, Event)> {
    let parts = script.split_whitespace().filter(|part| *part != "hang");
    let event = |part: &str| {
        let (what, at) = part.split_once('@').unwrap();
        let failed = |disposition| Event::Failed { attempt, disposition };
        let answered = |verdict| Event::Answered { attempt, verdict };
        let event = match what {
            "pass" => answered(Verdict::Pass),
            "undecided" => answered(Verdict::Undecided),
            "fail" => answered(Verdict::Fail),
            "judged_pass" => Event::Judged { attempt, verdict: Verdict::Pass },
            "judged_fail" => Event::Judged { attempt, verdict: Verdict::Fail },
            "no_verdict" => Event::Judged { attempt, verdict: Verdict::Undecided },
            "callers_fault" => failed(Disposition::CallersFault),
            "too_long" => failed(Disposition::TooLong),
            "transient" => failed(Disposition::Transient),
            "hard_down" => failed(Disposition::HardDown),
            "bad_answer" => failed(Disposition::BadAnswer),
            "abstained" => failed(Disposition::Abstained),
            "cancelled" => failed(Disposition::Cancelled),
            "over_budget" => failed(Disposition::OverBudget),
            "limited" => failed(Disposition::Limited),
            "429" => failed(Disposition::RateLimited { retry_after: None }),
            other => match other.split_once('/') {
                Some(("429", after)) => {
                    failed(Disposition::RateLimited { retry_after: Some(ms(after.parse().unwrap())) })
                }
                Some(("ask", n)) => {
                    Event::Held { attempt, give: attempt, verified: false, ask: Some(n.parse().unwrap()) }
                }
                Some(("give", n)) => Event::Held { attempt, give: n.parse().unwrap(), verified: false, ask: None },
                Some(("chunks", n)) => Event::Progress { attempt, chunks: n.parse().unwrap(), bytes: 1, read: 1 },
                Some(("read", n)) => Event::Progress { attempt, chunks: 1, bytes: 1, read: n.parse().unwrap() },
                _ => panic!("what is `{other}`?"),
            },
        };
        (started + ms(at.parse().unwrap()), event)
    };
    parts.map(event).collect()
}

/// Compares a world's transcript, leading white space aside.
#[track_caller]
pub(super) fn check(world: World, expected: &str) {
    let trim = |text: &str| text.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let transcript = world.transcript();
    assert!(trim(&transcript) == trim(expected), "it went:\n{transcript}\nexpected:\n{expected}");
}

/// The last line of a world's transcript.
#[track_caller]
pub(super) fn check_end(world: World, expected: &str) {
    let transcript = world.transcript();
    let last = transcript.trim_end().lines().last().unwrap_or_default().trim();
    assert!(last == expected, "it ended with `{last}` instead of `{expected}`:\n{transcript}");
}

#[test]
fn the_primary_answers() {
    check(
        world([("gpt", "pass@300"), ("claude", "pass@100")]),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
          300   0 answered, Pass
          300 commit 0
          300 done: 0 answered, verified
        ",
    );
}

#[test]
fn an_answer_without_evidence_is_given_and_marked() {
    check_end(world([("gpt", "undecided@300")]), "300 done: 0 answered");
}

#[test]
fn transient_is_retried_with_back_off_then_falls_back() {
    check(
        world([("gpt", "transient@20; transient@20; transient@20"), ("claude", "pass@100")]),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
           20   0 failed, Transient
           20 wait until 58
           58   woke
           58 start 1 gpt Retry within 1161 ms
           58 wait until 1220
           78   1 failed, Transient
           78 wait until 82
           82   woke
           82 start 2 gpt Retry within 1147 ms
           82 wait until 1229
          102   2 failed, Transient
          102 start 3 claude Fallback within 1892 ms
          102 wait until 1995
          202   3 answered, Pass
          202 commit 3
          202 done: 3 answered, verified
        ",
    );
}

#[test]
fn retries_are_over_the_whole_execution() {
    let down = "transient@1; transient@1; transient@1";
    check(
        world([("gpt", "transient@1; too_long@1"), ("claude", down), ("local", down)]),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
            1   0 failed, Transient
            1 wait until 39
           39   woke
           39 start 1 gpt Retry within 1173 ms
           39 wait until 1212
           40   1 failed, TooLong
           40 start 2 claude Fallback within 1172 ms
           40 wait until 1213
           41   2 failed, Transient
           41 wait until 45
           45   woke
           45 start 3 claude Retry within 1169 ms
           45 wait until 1215
           46   3 failed, Transient
           46 start 4 local Fallback within 1948 ms
           46 wait until 1995
           47   4 failed, Transient
           47 done: all_candidates_failed
        ",
    );
}

#[test]
fn no_retries_means_none() {
    let case = world([("gpt", "transient@20"), ("claude", "pass@100")]).policy(|p| p.retries = 0);
    check(
        case,
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
           20   0 failed, Transient
           20 start 1 claude Fallback within 1975 ms
           20 wait until 1995
          120   1 answered, Pass
          120 commit 1
          120 done: 1 answered, verified
        ",
    );
}

#[test]
fn rate_limited_with_a_fallback_goes_on_at_once() {
    check(
        world([("gpt", "429/300@20"), ("claude", "pass@100")]),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
           20   0 failed, RateLimited { retry_after: Some(300ms) }
           20 start 1 claude Fallback within 1975 ms
           20 wait until 1995
          120   1 answered, Pass
          120 commit 1
          120 done: 1 answered, verified
        ",
    );
}

#[test]
fn rate_limited_without_a_fallback_waits_where_it_fits() {
    check(
        world([("gpt", "429/300@20; pass@100")]),
        "
            0 start 0 gpt Primary within 1995 ms
            0 wait until 1995
           20   0 failed, RateLimited { retry_after: Some(300ms) }
           20 wait until 320
          320   woke
          320 start 1 gpt Retry within 1675 ms
          320 wait until 1995
          420   1 answered, Pass
          420 commit 1
          420 done: 1 answered, verified
        ",
    );
}

#[test]
fn rate_limited_without_a_fallback_ends_where_it_does_not_fit() {
    check(
        world([("gpt", "429/1980@20; pass@100")]),
        "
            0 start 0 gpt Primary within 1995 ms
            0 wait until 1995
           20   0 failed, RateLimited { retry_after: Some(1.98s) }
           20 done: all_candidates_failed, retry after 1980 ms
        ",
    );
}

#[test]
fn rate_limited_without_a_hint_backs_off() {
    check(
        world([("gpt", "429@20; pass@100")]),
        "
            0 start 0 gpt Primary within 1995 ms
            0 wait until 1995
           20   0 failed, RateLimited { retry_after: None }
           20 wait until 58
           58   woke
           58 start 1 gpt Retry within 1936 ms
           58 wait until 1995
          158   1 answered, Pass
          158 commit 1
          158 done: 1 answered, verified
        ",
    );
}

#[test]
fn a_retry_that_would_not_fit_is_not_waited_for() {
    let case = world([("gpt", "transient@1500; pass@100")]).history(0, 8, None, 600);
    check(
        case,
        "
            0 start 0 gpt Primary within 1995 ms
            0 wait until 1995
         1500   0 failed, Transient
         1500 done: all_candidates_failed
        ",
    );
}

#[test]
fn a_retry_that_no_longer_fits_is_skipped() {
    let mut case = world([("gpt", "transient@200"), ("claude", "pass@100")]).history(0, 8, None, 700);
    case.late = 300;
    check(
        case,
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
          500   0 failed, Transient
          500 wait until 538
          838   woke
          838 skip gpt Retry no_time
          838 start 1 claude Fallback within 1156 ms
          838 wait until 1995
         1238   1 answered, Pass
         1238 commit 1
         1238 done: 1 answered, verified
        ",
    );
}

#[test]
fn the_callers_fault_stops_everything() {
    check(
        world([("gpt", "callers_fault@20"), ("claude", "pass@100")]),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
           20   0 failed, CallersFault
           20 done: upstream_rejected
        ",
    );
}

#[test]
fn hard_down_opens_the_breaker_and_falls_back_without_a_retry() {
    let case = world([("gpt", "hard_down@20"), ("claude", "pass@100")]);
    check(
        case.clone(),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
           20   0 failed, HardDown
           20 start 1 claude Fallback within 1975 ms
           20 wait until 1995
          120   1 answered, Pass
          120 commit 1
          120 done: 1 answered, verified
        ",
    );
    check(
        case.history(0, 1, Some(Disposition::HardDown), 20),
        "
            0 skip gpt Primary breaker_open
            0 start 0 claude Fallback within 1995 ms
            0 wait until 1995
          100   0 answered, Pass
          100 commit 0
          100 done: 0 answered, verified
        ",
    );
}

#[test]
fn where_all_breakers_are_open_nobody_waits() {
    let hard_down = Some(Disposition::HardDown);
    check(
        world([("gpt", ""), ("claude", "")]).history(0, 1, hard_down, 1).history(1, 8, Some(Disposition::Transient), 1),
        "
            0 skip gpt Primary breaker_open
            0 skip claude Fallback breaker_open
            0 done: all_candidates_failed, retry after 5000 ms
        ",
    );
}

#[test]
fn a_failure_that_opens_the_breaker_is_not_waited_for() {
    let case = world([("gpt", "transient@20; pass@20")]).history(0, 7, Some(Disposition::Transient), 20);
    check(
        case,
        "
            0 start 0 gpt Primary within 1995 ms
            0 wait until 1995
           20   0 failed, Transient
           20 done: all_candidates_failed
        ",
    );
}

#[test]
fn the_probe_closes_the_breaker() {
    let mut case = world([("gpt", "pass@100")]);
    let lane = case.models[0].0.lane;
    case.lanes.observe(lane, Moment::from_micros(90_000_000), &seen(Some(Disposition::HardDown), 0));
    check(
        case,
        "
            0 start 0 gpt Primary within 1995 ms
            0 wait until 1995
          100   0 answered, Pass
          100 commit 0
          100 done: 0 answered, verified
        ",
    );
}

#[test]
fn while_the_probe_is_out_others_pass_by() {
    let mut case = world([("gpt", "pass@100"), ("claude", "pass@100")]);
    let lane = case.models[0].0.lane;
    case.lanes.observe(lane, Moment::from_micros(90_000_000), &seen(Some(Disposition::HardDown), 0));
    case.lanes.admit(lane, START, &case.policy.who, false);
    check(
        case,
        "
            0 skip gpt Primary breaker_open
            0 start 0 claude Fallback within 1995 ms
            0 wait until 1995
          100   0 answered, Pass
          100 commit 0
          100 done: 0 answered, verified
        ",
    );
}

#[test]
fn slow_is_cancelled_in_time_for_the_fallback() {
    check(
        world([("gpt", "hang"), ("claude", "pass@700")]),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
         1197   woke
         1197 cancel 0 Slow
         1197 start 1 claude Fallback within 798 ms
         1197 wait until 1995
         1897   1 answered, Pass
         1897 commit 1
         1897 done: 1 answered, verified
        ",
    );
}

#[test]
fn the_fallbacks_known_speed_is_what_is_kept_for_it() {
    let case = world([("gpt", "hang"), ("claude", "pass@200")]).history(1, 8, None, 300);
    check(
        case,
        "
            0 start 0 gpt Primary within 1695 ms
            0 wait until 1695
         1695   woke
         1695 cancel 0 Slow
         1695 start 1 claude Fallback within 300 ms
         1695 wait until 1995
         1895   1 answered, Pass
         1895 commit 1
         1895 done: 1 answered, verified
        ",
    );
}

#[test]
fn a_timeout_of_its_own_leaves_the_rest_to_the_others() {
    check(
        world([("gpt", "hang"), ("claude", "pass@100")]).timeout(0, 250),
        "
            0 start 0 gpt Primary within 250 ms
            0 wait until 250
          250   woke
          250 cancel 0 Slow
          250 start 1 claude Fallback within 1745 ms
          250 wait until 1995
          350   1 answered, Pass
          350 commit 1
          350 done: 1 answered, verified
        ",
    );
}

#[test]
fn when_all_hang_it_ends_before_the_deadline() {
    check(
        world([("gpt", "hang"), ("claude", "hang"), ("local", "hang")]),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
         1197   woke
         1197 cancel 0 Slow
         1197 start 1 claude Fallback within 478 ms
         1197 wait until 1675
         1675   woke
         1675 cancel 1 Slow
         1675 start 2 local Fallback within 319 ms
         1675 wait until 1995
         1995   woke
         1995 cancel 2 Slow
         1995 done: deadline_exceeded
        ",
    );
}

#[test]
fn a_lane_with_too_little_time_is_skipped() {
    let case = world([("gpt", "pass@3000"), ("claude", "pass@100")]).history(0, 8, None, 3000);
    check(
        case,
        "
            0 skip gpt Primary no_time
            0 start 0 claude Fallback within 1995 ms
            0 wait until 1995
          100   0 answered, Pass
          100 commit 0
          100 done: 0 answered, verified
        ",
    );
}

#[test]
fn the_last_candidate_is_tried_whatever_its_median() {
    check_end(world([("gpt", "pass@1900")]).history(0, 8, None, 3000), "1900 done: 0 answered, verified");
}

#[test]
fn abstained_and_bad_answers_fall_back() {
    check(
        world([("local", "abstained@1"), ("gpt", "fail@300"), ("claude", "pass@100")]),
        "
            0 start 0 local Primary within 1197 ms
            0 wait until 1197
            1   0 failed, Abstained
            1 start 1 gpt Fallback within 1196 ms
            1 wait until 1197
          301   1 answered, Fail
          301 start 2 claude Fallback within 1694 ms
          301 wait until 1995
          401   2 answered, Pass
          401 commit 2
          401 done: 2 answered, verified
        ",
    );
    check_end(world([("gpt", "bad_answer@300"), ("claude", "pass@100")]), "400 done: 1 answered, verified");
}

#[test]
fn unproven_fail_gives_only_what_passed() {
    let strict = |p: &mut Policy| p.unproven = Unproven::Fail;
    check(
        world([("gpt", "undecided@100"), ("claude", "pass@100")]).policy(strict),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
          100   0 answered, Undecided
          100 start 1 claude Fallback within 1895 ms
          100 wait until 1995
          200   1 answered, Pass
          200 commit 1
          200 done: 1 answered, verified
        ",
    );
    check_end(world([("gpt", "undecided@100")]).policy(strict), "100 done: no_acceptable_answer");
}

pub(super) fn stream(p: &mut Policy) {
    p.commit = Commit::After { chunks: 2, bytes: 1000 };
}

#[test]
fn a_stream_commits_at_its_first_chunks_and_may_outlast_the_deadline() {
    check(
        world([("gpt", "chunks/1@100 chunks/2@200 undecided@5000"), ("claude", "")]).policy(stream),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
          100   0 has 1 chunks
          100 wait until 1197
          200   0 has 2 chunks
          200 commit 0
          200 wait until 10000
         5000   0 answered, Undecided
         5000 done: 0 answered
        ",
    );
}

#[test]
fn a_stream_that_breaks_before_its_commit_falls_back_unseen() {
    let case = world([("gpt", "chunks/1@100 transient@150; hard_down@1"), ("claude", "pass@100")]).policy(stream);
    check(
        case,
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
          100   0 has 1 chunks
          100 wait until 1197
          150   0 failed, Transient
          150 wait until 188
          188   woke
          188 start 1 gpt Retry within 1083 ms
          188 wait until 1272
          189   1 failed, HardDown
          189 start 2 claude Fallback within 1805 ms
          189 wait until 1995
          289   2 answered, Pass
          289 commit 2
          289 done: 2 answered, verified
        ",
    );
}

#[test]
fn a_committed_stream_that_breaks_is_reported_broken() {
    let case = |script| world([("gpt", script), ("claude", "pass@1")]).policy(stream);
    check(
        case("chunks/2@100 transient@150"),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
          100   0 has 2 chunks
          100 commit 0
          100 wait until 10000
          150   0 failed, Transient
          150 done: 0 broken, stream_interrupted
        ",
    );
    check_end(case("chunks/2@100 fail@150"), "150 done: 0 broken, no_acceptable_answer");
    check_end(case("chunks/2@100 callers_fault@150"), "150 done: 0 broken, stream_interrupted");
    check(
        case("chunks/2@100"),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
          100   0 has 2 chunks
          100 commit 0
          100 wait until 10000
        10000   woke
        10000 cancel 0 Slow
        10000 done: 0 broken, stream_interrupted
        ",
    );
}

#[test]
fn when_nobody_listens_the_attempt_is_cancelled() {
    let mut case = world([("gpt", "transient@100; pass@300"), ("claude", "pass@100")]);
    case.abandoned = Some(50);
    check(
        case.clone(),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
           50   abandoned
           50 cancel 0 Cancelled
           50 done: cancelled
        ",
    );
    case.abandoned = Some(101);
    check(
        case,
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
          100   0 failed, Transient
          100 wait until 138
          101   abandoned
          101 done: cancelled
        ",
    );
    let mut case = world([("gpt", "chunks/2@10 pass@300")]).policy(stream);
    case.abandoned = Some(50);
    check_end(case, "50 done: cancelled");
}

#[test]
fn a_cancelled_attempt_ends_the_execution_as_cancelled() {
    check_end(world([("gpt", "cancelled@50"), ("claude", "pass@100")]), "50 done: cancelled");
}

#[test]
fn what_arrives_after_the_deadline_is_not_given() {
    let mut case = world([("gpt", "pass@1990")]);
    check_end(case.clone(), "1990 done: 0 answered, verified");
    case.late = 20;
    check(
        case,
        "
            0 start 0 gpt Primary within 1995 ms
            0 wait until 1995
         2010   0 answered, Pass
         2010 cancel 0 Slow
         2010 done: deadline_exceeded
        ",
    );
    let mut case = world([("gpt", "chunks/2@1990 pass@3000")]).policy(stream);
    case.late = 20;
    check(
        case,
        "
            0 start 0 gpt Primary within 1995 ms
            0 wait until 1995
         2010   0 has 2 chunks
         2010 cancel 0 Slow
         2010 done: deadline_exceeded
        ",
    );
}

#[test]
fn the_code_says_why_nothing_could_be_given() {
    for (models, end) in [
        (["too_long@1", "abstained@1"], "2 done: context_too_long"),
        (["abstained@1", "fail@1"], "2 done: no_acceptable_answer"),
        (["abstained@1", "abstained@1"], "2 done: no_acceptable_answer"),
        (["too_long@1", "fail@1"], "2 done: all_candidates_failed"),
        (["hard_down@1", "fail@1"], "2 done: all_candidates_failed"),
        (["hang", "fail@1"], "1198 done: all_candidates_failed"),
        (["fail@1", "hang"], "1995 done: deadline_exceeded"),
    ] {
        check_end(world([("gpt", models[0]), ("claude", models[1])]), end);
    }
    check_end(world([]), "0 done: all_candidates_failed");
}

#[test]
fn a_lane_that_was_not_asked_might_have_answered() {
    for script in ["too_long@1", "fail@1"] {
        let case = world([("gpt", script), ("claude", "")]).history(1, 1, Some(Disposition::HardDown), 1);
        check_end(case, "1 done: all_candidates_failed, retry after 4999 ms");
    }
}

#[test]
fn retry_after_counts_from_the_end() {
    let case = world([("gpt", "429/1000@0"), ("claude", "fail@400")]);
    check_end(case, "400 done: all_candidates_failed, retry after 600 ms");
}

#[test]
fn a_budget_steers_before_it_refuses() {
    check(
        world([("gpt", "over_budget@0"), ("local", "pass@10")]),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
            0   0 failed, OverBudget
            0 start 1 local Fallback within 1995 ms
            0 wait until 1995
           10   1 answered, Pass
           10 commit 1
           10 done: 1 answered, verified
        ",
    );
    check_end(world([("gpt", "over_budget@0"), ("claude", "over_budget@0")]), "0 done: budget_exhausted");
    check_end(world([("local", "abstained@1"), ("gpt", "over_budget@0")]), "1 done: budget_exhausted");
    check_end(world([("gpt", "limited@0"), ("claude", "over_budget@0")]), "0 done: budget_exhausted");
    check_end(world([("gpt", "limited@0"), ("local", "abstained@1")]), "1 done: rate_limit");
    // Somebody was asked, and failed: that is not the budget's doing alone.
    check_end(world([("gpt", "hard_down@3"), ("claude", "over_budget@0")]), "3 done: all_candidates_failed");
}

#[test]
fn nobody_learns_of_a_lane_that_was_not_asked() {
    let script = "over_budget@0; over_budget@0; over_budget@0";
    for _ in 0..20 {
        let transcript = world([("gpt", script)]).transcript();
        assert_eq!(transcript.matches("start").count(), 1, "no retry:\n{transcript}");
    }
    let mut lanes = Lanes::new(1);
    (0..100).for_each(|_| lanes.observe(LaneId(0), START, &seen(Some(Disposition::OverBudget), 0)));
    assert_eq!(format!("{lanes:?}"), format!("{:?}", Lanes::new(1)));
}
