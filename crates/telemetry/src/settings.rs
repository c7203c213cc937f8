//! The standard `OTEL_*` variables. A value that means nothing is an error: telemetry that is silently
//! not there is found out when it is needed.
//!
//! Source: OpenTelemetry specification 1.5x, "Environment Variable Specification" and "OpenTelemetry
//! Protocol Exporter". One difference, which the documentation says: nothing is sent where no endpoint
//! and no exporter is named.

use std::time::Duration;

use baton_core::Sampler;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `http/protobuf`.
    Http,
    /// `grpc`.
    Grpc,
}

/// Where one signal goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// How.
    pub protocol: Protocol,
    /// Where, its path included.
    pub uri: Uri,
    /// Sent with each request: secrets among them.
    pub headers: HeaderMap,
    /// What one export may take, its retries included.
    pub timeout: Duration,
}

/// Everything that the variables say.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which executions are traced.
    pub sampler: Sampler,
    /// Of the resource: `service.name` and what the operator adds.
    pub resource: Vec<(String, String)>,
    /// Where spans go.
    pub traces: Option<Target>,
    /// Where metrics go.
    pub metrics: Option<Target>,
    /// Where evaluation events go.
    pub events: Option<Target>,
    /// The newest names of the conventions, instead of those on today's dashboards.
    pub latest: bool,
    /// Whether inputs and outputs leave the system, where an intent's privacy permits.
    pub content: bool,
    /// Whether metrics are differences rather than sums since the start.
    pub delta: bool,
    /// The longest that spans and events wait to be sent.
    pub spans_every: Duration,
    /// How often metrics are sent.
    pub metrics_every: Duration,
}

/// A variable that does not say what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}; {help}")]
pub struct SettingError {
    variable: String,
    problem: String,
    help: String,
}

type Found<T> = Result<T, SettingError>;

fn wrong<T>(variable: &str, value: &str, help: &str) -> Found<T> {
    let problem = format!("`{value}` is not what it takes");
    Err(SettingError { variable: variable.to_owned(), problem, help: help.to_owned() })
}

const HTTP_PORT: &str = "http://localhost:4318";
const GRPC_PORT: &str = "http://localhost:4317";
/// Not there, each with what to do instead.
const REFUSED: [(&str, &str); 3] = [
    ("CERTIFICATE", "put the certificate among the system's, or name it in SSL_CERT_FILE"),
    ("CLIENT_KEY", "client certificates are not supported: authenticate with OTEL_EXPORTER_OTLP_HEADERS"),
    ("CLIENT_CERTIFICATE", "client certificates are not supported: authenticate with OTEL_EXPORTER_OTLP_HEADERS"),
];

/// A signal: its part of variables' names, of an HTTP path, and of a gRPC service.
const TRACES: (&str, &str, &str) = ("TRACES", "v1/traces", "trace.v1.TraceService");
const METRICS: (&str, &str, &str) = ("METRICS", "v1/metrics", "metrics.v1.MetricsService");
const LOGS: (&str, &str, &str) = ("LOGS", "v1/logs", "logs.v1.LogsService");

impl Settings {
    /// Reads the variables; `None` where nothing leaves the system. An empty one counts as absent.
    ///
    /// # Errors
    /// The first variable that is not as it should be.
    pub fn read(environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, SettingError> {
        let env = Env(environment);
        if env.flag("OTEL_SDK_DISABLED")? {
            return Ok(None);
        }
        let (traces, metrics, events) = (env.target(TRACES)?, env.target(METRICS)?, env.target(LOGS)?);
        let settings = Self {
            sampler: if traces.is_some() { env.sampler()? } else { Sampler::OFF },
            resource: env.resource()?,
            latest: env.latest(),
            content: env.content()?,
            delta: env.delta()?,
            spans_every: env.millis("OTEL_BSP_SCHEDULE_DELAY", 5000)?,
            metrics_every: env.millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
            traces,
            metrics,
            events,
        };
        let any = settings.traces.is_some() || settings.metrics.is_some() || settings.events.is_some();
        Ok(any.then_some(settings))
    }

    /// Whether something travels by gRPC.
    #[must_use]
    pub fn uses_grpc(&self) -> bool {
        let targets = [&self.traces, &self.metrics, &self.events];
        targets.into_iter().flatten().any(|target| target.protocol == Protocol::Grpc)
    }
}

struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Env<'_> {
    fn get(&self, variable: &str) -> Option<String> {
        (self.0)(variable).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// A signal's own variable, or that of all signals; with the name that said it.
    fn otlp(&self, signal: &str, what: &str) -> Option<(String, String)> {
        let names = [format!("OTEL_EXPORTER_OTLP_{signal}_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
        names.into_iter().find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    fn flag(&self, variable: &str) -> Found<bool> {
        match self.get(variable) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) => wrong(variable, &text, "write true or false"),
        }
    }

    fn millis(&self, variable: &str, default: u64) -> Found<Duration> {
        let Some(text) = self.get(variable) else { return Ok(Duration::from_millis(default)) };
        match text.parse() {
            Ok(ms @ 1..=3_600_000) => Ok(Duration::from_millis(ms)),
            _ => wrong(variable, &text, "write milliseconds, from 1 to 3600000"),
        }
    }

    fn target(&self, (signal, path, service): (&str, &str, &str)) -> Found<Option<Target>> {
        let exporter = format!("OTEL_{signal}_EXPORTER");
        let named = match self.get(&exporter).as_deref() {
            Some("none") => return Ok(None),
            Some("otlp") => true,
            Some(other) => return wrong(&exporter, other, "write otlp or none"),
            None => false,
        };
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT");
        let endpoint = self.otlp(signal, "ENDPOINT");
        if endpoint.is_none() && !named {
            return Ok(None);
        }
        let protocol = match self.otlp(signal, "PROTOCOL") {
            None => Protocol::Http,
            Some((_, text)) if text == "http/protobuf" => Protocol::Http,
            Some((_, text)) if text == "grpc" => Protocol::Grpc,
            Some((name, text)) => return wrong(&name, &text, "write http/protobuf or grpc"),
        };
        if let Some((name, text)) = self.otlp(signal, "COMPRESSION").filter(|(_, text)| text != "none") {
            return wrong(&name, &text, "compression is not supported: write none, or leave it out");
        }
        for (what, help) in REFUSED {
            if let Some((name, text)) = self.otlp(signal, what) {
                return wrong(&name, &text, help);
            }
        }
        let timeout = self.otlp(signal, "TIMEOUT").map_or("OTEL_EXPORTER_OTLP_TIMEOUT".to_owned(), |(name, _)| name);
        let timeout = self.millis(&timeout, 10_000)?;
        let standard = if protocol == Protocol::Grpc { GRPC_PORT } else { HTTP_PORT };
        let (name, base) = endpoint.unwrap_or((own.clone(), standard.to_owned()));
        let uri = match protocol {
            // A signal's own endpoint is used as it stands.
            Protocol::Http if name == own && base != standard => base.clone(),
            Protocol::Http => format!("{}/{path}", base.trim_end_matches('/')),
            Protocol::Grpc => {
                // Without a scheme it is a host and a port.
                let scheme = if base.contains("://") { "" } else { "http://" };
                format!("{scheme}{}/opentelemetry.proto.collector.{service}/Export", base.trim_end_matches('/'))
            }
        };
        let help = "write http://host:port or https://host, without a user and a password";
        let Some(uri) = address(&uri) else { return wrong(&name, &redacted(&base), help) };
        Ok(Some(Target { protocol, uri, headers: self.headers(signal)?, timeout }))
    }

    fn headers(&self, signal: &str) -> Found<HeaderMap> {
        let mut headers = HeaderMap::new();
        let Some((name, text)) = self.otlp(signal, "HEADERS") else { return Ok(headers) };
        let help = "write name=value pairs with commas between them, values percent-encoded";
        for (key, value) in pairs(&name, &text, help)? {
            // Neither is shown: they hold keys.
            let (Ok(key), Ok(mut value)) = (key.parse::<HeaderName>(), value.parse::<HeaderValue>()) else {
                return wrong(&name, "…", help);
            };
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        Ok(headers)
    }

    fn resource(&self) -> Found<Vec<(String, String)>> {
        let variable = "OTEL_RESOURCE_ATTRIBUTES";
        let text = self.get(variable).unwrap_or_default();
        let mut all = pairs(variable, &text, "write key=value pairs with commas between them")?;
        let said = self.get("OTEL_SERVICE_NAME");
        if said.is_some() || !all.iter().any(|(key, _)| key == "service.name") {
            all.retain(|(key, _)| key != "service.name");
            all.insert(0, ("service.name".into(), said.unwrap_or_else(|| "baton".into())));
        }
        if !all.iter().any(|(key, _)| key == "service.version") {
            all.push(("service.version".into(), env!("CARGO_PKG_VERSION").into()));
        }
        Ok(all)
    }

    fn sampler(&self) -> Found<Sampler> {
        let (variable, argument) = ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG");
        let name = self.get(variable).unwrap_or_else(|| "parentbased_always_on".into());
        let (parent_based, kind) = name.strip_prefix("parentbased_").map_or((false, &*name), |kind| (true, kind));
        let share = match kind {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => {
                let text = self.get(argument).unwrap_or_else(|| "1.0".into());
                match text.parse::<f64>() {
                    Ok(share) if (0.0..=1.0).contains(&share) => share,
                    _ => return wrong(argument, &text, "write a share from 0 to 1, such as 0.1"),
                }
            }
            _ => {
                let help = "write always_on, always_off, traceidratio, or one of them after `parentbased_`";
                return wrong(variable, &name, help);
            }
        };
        Ok(Sampler::new(share, parent_based))
    }

    /// The list is shared with other instrumentations: what is not ours is left alone.
    fn latest(&self) -> bool {
        let list = self.get("OTEL_SEMCONV_STABILITY_OPT_IN").unwrap_or_default();
        list.split(',').any(|word| word.trim() == "gen_ai_latest_experimental")
    }

    /// `SPAN_ONLY` and the like are what newer instrumentations write.
    fn content(&self) -> Found<bool> {
        let variable = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
        let Some(text) = self.get(variable) else { return Ok(false) };
        match text.to_lowercase().as_str() {
            "true" | "span_only" | "span_and_event" => Ok(true),
            "false" | "no_content" => Ok(false),
            _ => wrong(variable, &text, "write true or false; content goes on spans only"),
        }
    }

    fn delta(&self) -> Found<bool> {
        let variable = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        let Some(text) = self.get(variable) else { return Ok(false) };
        match text.to_lowercase().as_str() {
            "cumulative" => Ok(false),
            "delta" | "lowmemory" => Ok(true),
            _ => wrong(variable, &text, "write cumulative, delta or lowmemory"),
        }
    }
}

fn address(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let plain = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty());
    (plain && !uri.authority()?.as_str().contains('@')).then_some(uri)
}

/// Without a user and a password, where somebody wrote them.
fn redacted(url: &str) -> String {
    match url.split_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => url.to_owned(),
    }
}

/// `a=1,b=2`, percent-decoded. What is wrong is not shown: it may be a secret.
fn pairs(variable: &str, text: &str, help: &str) -> Found<Vec<(String, String)>> {
    let mut all = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let decoded = pair.split_once('=').and_then(|(key, value)| {
            let (key, value) = (decode(key.trim())?, decode(value.trim())?);
            (!key.is_empty()).then_some((key, value))
        });
        let Some(pair) = decoded else { return wrong(variable, "…", help) };
        all.push(pair);
    }
    Ok(all)
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingError> {
        let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::read(&get)
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");

    fn uri(target: Option<&Target>) -> String {
        target.map(|target| target.uri.to_string()).unwrap_or_default()
    }

    #[test]
    fn nothing_is_sent_unless_somebody_says_where() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("OTEL_SERVICE_NAME", "x"), ("OTEL_TRACES_SAMPLER", "nonsense")]), Ok(None));
        assert_eq!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]), Ok(None));
        let none = ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"].map(|name| (name, "none"));
        assert_eq!(read(&[&[ENDPOINT], &none[..]].concat()), Ok(None));
        let named = read(&[("OTEL_TRACES_EXPORTER", "otlp")]).unwrap().unwrap();
        assert_eq!(uri(named.traces.as_ref()), "http://localhost:4318/v1/traces");
        assert_eq!((named.metrics, named.events), (None, None));
    }

    #[test]
    fn endpoints_are_those_of_the_specification() {
        let all = read(&[ENDPOINT]).unwrap().unwrap();
        assert_eq!(uri(all.traces.as_ref()), "http://c:4318/v1/traces");
        assert_eq!(uri(all.metrics.as_ref()), "http://c:4318/v1/metrics");
        assert_eq!(uri(all.events.as_ref()), "http://c:4318/v1/logs");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/custom");
        let own = read(&[ENDPOINT, own]).unwrap().unwrap();
        assert_eq!(uri(own.traces.as_ref()), "https://t/custom");
        assert_eq!(uri(own.metrics.as_ref()), "http://c:4318/v1/metrics");
        let grpc = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317")];
        let grpc = read(&grpc).unwrap().unwrap();
        let service = "http://c:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        assert_eq!(uri(grpc.traces.as_ref()), service);
    }

    #[test]
    fn headers_resource_and_sampling() {
        let given = read(&[
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20k3y, x-a = b"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,deployment.environment.name=prod"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_SEMCONV_STABILITY_OPT_IN", "http,gen_ai_latest_experimental"),
        ]);
        let given = given.unwrap().unwrap();
        let headers = &given.traces.as_ref().unwrap().headers;
        assert_eq!(headers["authorization"], "Bearer k3y");
        assert_eq!(headers["x-a"], "b");
        assert!(!format!("{given:?}").contains("k3y"), "secrets are not shown");
        assert_eq!(given.resource[0], ("service.name".into(), "a".into()));
        assert_eq!(given.sampler, Sampler::new(0.25, false));
        assert!(given.latest && !given.content && !given.delta);
        let named = read(&[ENDPOINT, ("OTEL_SERVICE_NAME", "b"), ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a")]);
        assert_eq!(named.unwrap().unwrap().resource[0], ("service.name".into(), "b".into()));
        assert_eq!(read(&[ENDPOINT]).unwrap().unwrap().sampler, Sampler::new(1.0, true));
    }

    #[test]
    fn what_means_nothing_is_an_error_that_names_it() {
        for (name, value) in [
            ("OTEL_SDK_DISABLED", "yes"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "udp"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/x"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=%zz"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "ftp://x"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://me:s3cret@x"),
            ("OTEL_RESOURCE_ATTRIBUTES", "=x"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "perhaps"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "x"),
            ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
        ] {
            let error = read(&[ENDPOINT, (name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        let ratio = [ENDPOINT, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
        assert!(read(&ratio).unwrap_err().to_string().starts_with("OTEL_TRACES_SAMPLER_ARG"));
    }
}
