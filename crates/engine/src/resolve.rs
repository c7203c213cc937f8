//! Resolve and route: from a call to a request whose candidates are ranked.

use std::sync::Arc;
use std::time::Duration;

use baton_cache::Key;
use baton_config::{IntentKind, PromptRole};
use baton_core::{
    Candidate, Claimant, Commit, ErrorCode, Failure, IntentName, LaneId, Limits, Moment, Policy, Quality, Quota,
    RouteRecord, SERVER_CEILINGS, Scope, Severity, StreamLimits, Unproven, Verdict, handover,
};
use baton_eval::Seen;
use baton_wire::{ChatRequest, Message, Params, ResponseFormat, Role};
use serde_json::{Map, Value, json};

use crate::budgets::quotas;
use crate::call::{Call, Caller, Target};
use crate::cascade::Cascade;
use crate::engine::Engine;
use crate::erase::About;
use crate::flights::FlightKey;
use crate::intent::Intent;
use crate::judge::judge_of;
use crate::learn::{InForce, decided};
use crate::live::Live;
use crate::semantic::Asked;

/// A call that is valid: what it asks for, within which limits, for whom.
pub(crate) struct Request {
    /// The configuration that it was resolved with; everything later uses this one.
    pub(crate) live: Arc<Live>,
    /// `None` for a raw model call.
    pub(crate) intent: Option<Arc<Intent>>,
    /// The input, its schema's defaults applied.
    pub(crate) input: Value,
    pub(crate) scope: Scope,
    pub(crate) limits: Limits,
    pub(crate) started: Moment,
    /// The same by the wall clock, Unix microseconds: the day that it counts for.
    pub(crate) started_at_us: i64,
    /// Who pays for it, and what each may use.
    pub(crate) quotas: Arc<[Quota]>,
    pub(crate) deadline: Moment,
    /// What a stream must keep to.
    pub(crate) stream: StreamLimits,
    /// Those that may answer, ranked.
    pub(crate) candidates: Arc<[Candidate]>,
    /// How they were ranked, where that is not the order written.
    pub(crate) routed: Option<RouteRecord>,
    /// By what models are asked in turn, where they are.
    pub(crate) cascade: Option<Arc<Cascade>>,
    /// What labels and judges said of such answers, as it is in force for this call.
    pub(crate) calibration: Option<Arc<InForce>>,
    /// Where answers may be remembered.
    pub(crate) flight: Option<FlightKey>,
    /// What the semantic cache was asked, after it was.
    pub(crate) asked: Option<Box<Asked>>,
    /// Whom it is about, for deletion, and since when.
    pub(crate) about: About,
}

/// Plan and limits; the input validated.
pub(crate) fn resolve(engine: &Engine, live: Arc<Live>, call: &Call) -> Result<Request, Failure> {
    let started = engine.clock.moment(call.received);
    let started_at_us = engine.clock.unix_us_at(started);
    match &call.target {
        Target::Intent { name, input } => {
            call.caller.may_call(name)?;
            let intent = live.intent(name).ok_or_else(|| unknown_intent(&live, &call.caller, name))?;
            let calibration = engine.learning.of(&call.caller.team, &intent.plan.hashes.lineage);
            let about = About::call(call, &engine.clock);
            let request = resolve_intent((live, intent), (started, started_at_us), (call, about), input)?;
            Ok(Request { calibration, ..request })
        }
        Target::Model(chat) => {
            call.caller.may_call_models()?;
            let named = live.snapshot.model(&chat.model);
            let model = named.ok_or_else(|| unknown_model(&live, &chat.model))?;
            let limits = Limits::meet(&call.config, &SERVER_CEILINGS, |_| None)?;
            let (candidate, snapshot) = (live.candidate(model), Arc::clone(&live.snapshot));
            Ok(Request {
                live,
                intent: None,
                input: Value::Null,
                scope: Scope::team(call.caller.team.clone()),
                stream: StreamLimits::default(),
                deadline: started + limits.deadline,
                limits,
                started,
                started_at_us,
                quotas: quotas(&snapshot, &call.caller, None),
                candidates: Arc::from([candidate]),
                routed: None,
                cascade: None,
                calibration: None,
                flight: None,
                asked: None,
                about: About::call(call, &engine.clock),
            })
        }
    }
}

fn resolve_intent(
    (live, intent): (Arc<Live>, Arc<Intent>),
    (started, started_at_us): (Moment, i64),
    (call, about): (&Call, About),
    input: &Value,
) -> Result<Request, Failure> {
    let plan = &intent.plan;
    let limits = Limits::meet(&call.config, &plan.ceilings, |name| {
        let meant = live.snapshot.aliases.get(name);
        intent.candidates.iter().position(|c| c.model.as_str() == name || Some(&c.model) == meant)
    })?;
    let input = match &plan.input_schema {
        None => input.clone(),
        Some(schema) => {
            let input = schema.with_defaults(input.clone());
            schema.validate(&input).map_err(|violation| {
                Failure::new(ErrorCode::InputInvalid, format!("input{violation}"))
                    .at(format!("/input{}", violation.pointer))
            })?;
            input
        }
    };
    let candidates: Arc<[Candidate]> = match &limits.models {
        None => Arc::clone(&intent.candidates),
        Some(order) => order.iter().map(|i| intent.candidates[*i].clone()).collect(),
    };
    let partition = plan.cache.partition.iter().map(|path| {
        let field = path.strip_prefix("metadata.").unwrap_or(path);
        call.metadata.get(field).cloned()
    });
    let scope = Scope { team: call.caller.team.clone(), partition: partition.collect() };
    // What a batch answered is there; calls of tools are not compared.
    let asked = call.item.as_ref().is_some_and(|item| item.reply.is_some());
    let alone = limits.models.is_some() || !call.tools.is_empty() || asked;
    let cascade = intent.cascade.as_ref().filter(|_| !alone).map(Arc::clone);
    // Tools make an answer depend on more than its input.
    let remembers = !limits.ttl.is_zero() && call.tools.is_empty();
    let flight = remembers.then(|| FlightKey {
        key: Key::of(&scope, &plan.name, &plan.hashes.answer, &input),
        models: limits.models.iter().flat_map(|_| candidates.iter().map(|c| c.model.clone())).collect(),
    });
    // Nothing of a stream outlasts its total.
    let total = if call.stream { plan.stream.total } else { Duration::MAX };
    Ok(Request {
        quotas: quotas(&live.snapshot, &call.caller, Some(plan)),
        live,
        stream: plan.stream,
        deadline: started + limits.deadline.min(total),
        limits,
        started,
        started_at_us,
        intent: Some(intent),
        input,
        scope,
        candidates,
        routed: None,
        cascade,
        calibration: None,
        flight,
        asked: None,
        about,
    })
}

fn unknown_intent(live: &Live, caller: &Caller, name: &IntentName) -> Failure {
    let callable = live.snapshot.intents.keys().filter(|known| caller.may_call(known).is_ok());
    let known: Vec<&str> = callable.map(IntentName::as_str).take(20).collect();
    let message = format!("there is no intent `{name}`; there are: {}", known.join(", "));
    Failure::new(ErrorCode::UnknownIntent, message).at("/intent")
}

fn unknown_model(live: &Live, name: &str) -> Failure {
    let aliases = live.snapshot.aliases.keys().map(String::as_str);
    let ids = live.snapshot.models.iter().map(|m| m.id.as_str()).filter(|id| *id != "local");
    let known: Vec<&str> = aliases.chain(ids).take(20).collect();
    let message = if live.snapshot.intents.contains_key(&IntentName::new(name)) {
        format!("`{name}` is an intent: write `intent:{name}`")
    } else {
        format!(
            "there is no model `{name}`; there are: {}, and intent:NAME. Models are named in baton.toml and by intents",
            known.join(", ")
        )
    };
    Failure::new(ErrorCode::UnknownModel, message).at("/model")
}

impl Request {
    /// What is known of an answer's quality, and what that means for it, after its checks said this;
    /// `None` where nothing was learnt yet.
    pub(crate) fn quality(&self, seen: &Seen<'_>, said: Verdict) -> (Option<Quality>, Verdict) {
        let (Some(in_force), Some(intent)) = (&self.calibration, &self.intent) else { return (None, said) };
        let (quality, learnt) = decided(in_force, &intent.plan, seen);
        (Some(quality), if said == Verdict::Undecided { learnt } else { said })
    }

    /// When an answer must be there to be handed over before the deadline.
    pub(crate) fn answer_by(&self) -> Moment {
        self.deadline - handover(self.deadline - self.started)
    }

    /// When a stream that was released must be over, its record included.
    pub(crate) fn stream_end(&self) -> Moment {
        (self.started + self.stream.total).max(self.deadline)
    }

    /// What the state machine may do for this request.
    pub(crate) fn policy(&self, stream: bool) -> Policy {
        let plan = self.intent.as_ref().map(|intent| &intent.plan);
        // Labels and fields mean nothing before they are whole; text is gated by its own checks.
        let gated = plan.is_some_and(|plan| {
            plan.kind != IntentKind::Generation || plan.checks.iter().any(|check| check.on_fail == Severity::Gate)
        });
        // A threshold in force gates like a check.
        let gated = gated || self.calibration.as_ref().is_some_and(|in_force| in_force.calibration.gates());
        let unverified = plan.is_none_or(|plan| plan.stream_unverified);
        let unproven = plan.map_or(Unproven::Pass, |plan| plan.unproven);
        let at_verdict = !stream || self.cascade.is_some() || (!unverified && (gated || unproven != Unproven::Pass));
        Policy {
            started: self.started,
            deadline: self.deadline,
            stream_end: if stream { self.stream_end() } else { self.deadline },
            retries: self.limits.retries,
            commit: if at_verdict { Commit::AtVerdict } else { Commit::After { chunks: 1, bytes: 1 } },
            unproven,
            judge: self.judge(),
            stream: stream.then_some(self.stream),
            hedge_share: plan.map_or(0.0, |plan| plan.hedge_share),
            who: self.claimant(),
        }
    }

    /// The lane of the judge that is asked before an answer is given, where one is.
    fn judge(&self) -> Option<LaneId> {
        let plan = &self.intent.as_ref().filter(|intent| intent.plan.unproven == Unproven::Judge)?.plan;
        let judge = self.live.intent(&judge_of(&plan.name))?;
        judge.candidates.first().map(|candidate| candidate.lane)
    }

    /// Who asks for places, with its team's share.
    fn claimant(&self) -> Claimant {
        let team = self.scope.team.clone();
        let share = self.live.snapshot.teams.get(&team).map_or(1, |team| team.share);
        Claimant { team, share }
    }

    /// The conversation to send, the model's name left open.
    pub(crate) fn chat(&self, call: &Call) -> Result<ChatRequest, Failure> {
        if let Target::Model(chat) = &call.target {
            return Ok(ChatRequest { stream: call.stream, ..(**chat).clone() });
        }
        let Some(intent) = &self.intent else { return Ok(ChatRequest::default()) };
        let messages = intent.plan.messages(&self.input).map_err(|message| {
            Failure::new(ErrorCode::InputInvalid, format!("the prompt cannot be rendered with this input: {message}"))
                .at("/input")
        })?;
        let messages = messages.into_iter().map(|(role, text)| {
            let role = match role {
                PromptRole::System => Role::System,
                PromptRole::User => Role::User,
                PromptRole::Assistant => Role::Assistant,
            };
            Message::text(role, text)
        });
        let (params, mut extra) = parameters(&intent.plan.params);
        if intent.checks.need_probabilities() {
            extra.extend([("logprobs".to_owned(), json!(true)), ("top_logprobs".to_owned(), json!(TOP_LOGPROBS))]);
        }
        Ok(ChatRequest {
            model: String::new(),
            messages: messages.collect(),
            params,
            tools: call.tools.clone(),
            tool_choice: call.tool_choice.clone(),
            response_format: response_format(intent),
            stream: call.stream,
            extra,
        })
    }
}

/// So many alternatives of each token are asked for, where a check compares labels: what most vendors
/// allow.
const TOP_LOGPROBS: u32 = 5;

fn response_format(intent: &Intent) -> ResponseFormat {
    match (&intent.plan.kind, &intent.plan.output_schema) {
        (IntentKind::Extraction, Some(schema)) => {
            ResponseFormat::Schema { name: intent.plan.name.to_string(), schema: schema.json().clone() }
        }
        _ => ResponseFormat::Text,
    }
}

/// `[params]` by their OpenAI names; what the canonical form does not know passes through.
fn parameters(declared: &Map<String, Value>) -> (Params, Map<String, Value>) {
    let mut params = Params::default();
    let mut extra = Map::new();
    for (name, value) in declared {
        match name.as_str() {
            "temperature" => params.temperature = value.as_f64(),
            "top_p" => params.top_p = value.as_f64(),
            "max_tokens" => params.max_tokens = value.as_u64(),
            "seed" => params.seed = value.as_i64(),
            "stop" => {
                let many =
                    value.as_array().map(|all| all.iter().filter_map(Value::as_str).map(str::to_owned).collect());
                params.stop = many.or_else(|| value.as_str().map(|one| vec![one.to_owned()])).unwrap_or_default();
            }
            _ => {
                extra.insert(name.clone(), value.clone());
            }
        }
    }
    (params, extra)
}
