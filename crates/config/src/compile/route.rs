//! `route` and `[routing]` to a [`Route`].

use baton_core::Strategy;

use crate::diagnostics::Sink;
use crate::document::Document;
use crate::files::IntentFile;
use crate::json::child;
use crate::plan::Route;
use crate::route_file::RouteFile;

/// `None` where it is wrong, which is reported.
pub(super) fn route(document: &Document, file: &IntentFile, sink: &mut Sink) -> Option<Route> {
    let before = sink.errors();
    let strategy = match file.route {
        RouteFile::Ordered => Strategy::Ordered,
        RouteFile::Cheapest => Strategy::Cheapest,
        RouteFile::Fastest => Strategy::Fastest,
        RouteFile::Weighted => Strategy::Weighted,
        RouteFile::Cascade => Strategy::Cascade,
    };
    if strategy == Strategy::Ordered && file.routing.is_some() {
        let help = "set `route` to \"cheapest\", \"fastest\", \"weighted\" or \"cascade\", or remove [routing]";
        sink.error(document.key("/routing"), "[routing] is set, and candidates are asked in the order written", help);
    }
    let routing = file.routing.clone().unwrap_or_default();
    for name in routing.weights.keys().filter(|name| !file.models.contains(name)) {
        let at = document.key(&child("/routing/weights", name));
        sink.error(at, format!("`{name}` is not among the models"), "write it as it is in `models`, or add it there");
    }
    for (name, weight) in routing.weights.iter().filter(|(_, weight)| !(weight.is_finite() && **weight >= 0.0)) {
        let at = document.at(&child("/routing/weights", name));
        sink.error(
            at,
            format!("{weight} is no weight"),
            "write a number from 0 on; twice the weight is asked twice as often",
        );
    }
    let sum: f64 = routing.weights.values().sum();
    match strategy {
        Strategy::Weighted if sum <= 0.0 && sink.errors() == before => {
            let help = "add [routing.weights] with a number for each model, as in `\"openai/gpt-4o-mini\" = 3`";
            sink.error(document.at("/route"), "route \"weighted\" has no weights", help);
        }
        Strategy::Cheapest | Strategy::Fastest | Strategy::Cascade if !routing.weights.is_empty() => {
            let help = "set `route = \"weighted\"`, or remove the weights";
            sink.error(document.key("/routing/weights"), "only the route \"weighted\" has weights", help);
        }
        Strategy::Cheapest if file.review.is_none() && file.judge.is_none() => {
            let message = "route \"cheapest\" behaves as \"ordered\" until there is evidence of quality, and nothing here \
                           gathers any";
            sink.warn(document.at("/route"), message, "add [review], so that people label a sample of the answers");
        }
        Strategy::Cheapest | Strategy::Fastest => {
            let name = strategy.as_str();
            let message = format!("route \"{name}\" behaves as \"ordered\" until there is evidence");
            let help = "put first in `models` what should be asked first; `baton route explain` shows what is known";
            sink.warn(document.at("/route"), message, help);
        }
        Strategy::Ordered | Strategy::Weighted | Strategy::Cascade => {}
    }
    let weight = |name: &String| routing.weights.get(name).copied().unwrap_or_default();
    (sink.errors() == before).then(|| Route {
        strategy,
        weights: file.models.iter().map(weight).collect(),
        explore: routing.explore,
        in_time: routing.in_time,
        sticky: routing.sticky,
        cascade: None,
    })
}
