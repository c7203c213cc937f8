//! Invariants across fields as CEL expressions: compiled at load, bounded in all that they may do.
//!
//! The language is Google's Common Expression Language (github.com/google/cel-spec). It ends always;
//! its loops over lists can still be nested, so their work is estimated before each evaluation.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr};
use cel::objects::{Key, Map};
use cel::{Context, Env, Program};
use serde_json::Value;

/// For the parser, which recurses.
const STACK_BYTES: usize = 64 << 20;
/// The longest expression, in bytes.
const LENGTH_MAX: usize = 1000;
/// How deep brackets may be nested.
const BRACKETS_MAX: usize = 16;
/// How deep loops (`all`, `exists`, `map`, `filter`) may be nested.
const LOOPS_MAX: u32 = 2;
/// How many additions may stand within loops: each may double a list.
const GROWTH_MAX: u32 = 4;
/// The most steps of one evaluation: some ten milliseconds.
const STEPS_MAX: usize = 100_000;
/// The deepest value that is looked at.
const DEPTH_MAX: usize = 64;

/// Functions besides the operators.
const FUNCTIONS: [&str; 10] =
    ["size", "contains", "startsWith", "endsWith", "int", "uint", "double", "string", "near", "@not_strictly_false"];

/// An expression over `output` and `input`.
///
/// Numbers of JSON are doubles, as the language has it: `output.count + 1.0`. `near(a, b, by)` compares
/// sums of money without regard to the last bit.
pub struct Expression {
    source: String,
    program: Program,
    loops: u32,
    growth: u32,
    additions: usize,
    reads_input: bool,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

/// Why an expression is not true of an answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Untrue {
    /// It says so.
    #[error("is false")]
    False,
    /// It has no truth value.
    #[error("gives neither true nor false")]
    NoTruth,
    /// A list is too long for its loops.
    #[error("would take too many steps on an answer of this size")]
    TooMuch,
    /// Something in it has no value. The text may quote the answer.
    #[error("cannot be evaluated: {0}")]
    Error(String),
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn compile(source: &str) -> Result<Self, String> {
        if source.len() > LENGTH_MAX {
            return Err(format!("it has {} bytes; at most {LENGTH_MAX} are allowed", source.len()));
        }
        if brackets(source) > BRACKETS_MAX {
            return Err(format!("its brackets or signs are nested deeper than {BRACKETS_MAX}"));
        }
        let program = parse(source)?.map_err(|errors| {
            let text = errors.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("ERROR: ").to_owned()
        })?;
        let mut walk = Walk::default();
        walk.expression(&program.expression().expr, 0)?;
        if walk.loops > LOOPS_MAX {
            return Err(format!("its loops are nested deeper than {LOOPS_MAX}"));
        }
        if walk.growth > GROWTH_MAX {
            return Err(format!("there are more than {GROWTH_MAX} additions within loops"));
        }
        let Walk { loops, growth, additions, reads_input, .. } = walk;
        Ok(Self { source: source.to_owned(), program, loops, growth, additions, reads_input })
    }

    /// As it is written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is true of an output and its input.
    ///
    /// # Errors
    /// Why it is not.
    pub fn holds(&self, output: &Value, input: &Value) -> Result<(), Untrue> {
        let mut size = Size::default();
        size.add(output, 0);
        if self.reads_input {
            size.add(input, 0);
        }
        if size.steps(self) > STEPS_MAX {
            return Err(Untrue::TooMuch);
        }
        let mut context = Context::with_env(Arc::clone(env()));
        context.add_variable_from_value("output", converted(output));
        if self.reads_input {
            context.add_variable_from_value("input", converted(input));
        }
        let near = |a: f64, b: f64, by: f64| (a - b).abs() <= by;
        context.add_function("near", near).map_err(|error| Untrue::Error(error.to_string()))?;
        match self.program.execute(&context) {
            Ok(cel::Value::Bool(true)) => Ok(()),
            Ok(cel::Value::Bool(false)) => Err(Untrue::False),
            Ok(_) => Err(Untrue::NoTruth),
            Err(error) => Err(Untrue::Error(error.to_string())),
        }
    }
}

/// The standard functions, built once.
fn env() -> &'static Arc<Env> {
    static ENV: OnceLock<Arc<Env>> = OnceLock::new();
    ENV.get_or_init(|| Arc::new(Env::stdlib()))
}

/// On a stack of its own: the parser calls itself many times for each bracket, and a debug build of it overflows
/// that of a thread.
fn parse(source: &str) -> Result<Result<cel::Program, cel::ParseErrors>, String> {
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().stack_size(STACK_BYTES);
        let parsed = parser.spawn_scoped(scope, || env().compile(source));
        let parsed = parsed.map_err(|error| format!("it could not be read: no thread for the parser ({error})"))?;
        parsed.join().map_err(|_| "it could not be read: a fault of the parser".to_owned())
    })
}

/// How deep brackets and signs are nested, those in quoted text counted too.
fn brackets(source: &str) -> usize {
    let (mut open, mut deepest, mut signs) = (0_usize, 0, 0);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        signs = if matches!(byte, b'!' | b'-' | b'?') { signs + 1 } else { signs };
        deepest = deepest.max(open).max(signs / 4);
    }
    deepest
}

/// What an expression does, found by walking over it.
#[derive(Default)]
struct Walk {
    /// Names that loops bind.
    bound: Vec<String>,
    loops: u32,
    growth: u32,
    /// All additions: each may copy all that the ones before it put together.
    additions: usize,
    reads_input: bool,
}

impl Walk {
    fn expression(&mut self, expr: &Expr, loops: u32) -> Result<(), String> {
        match expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.expression(&select.operand.expr, loops),
            Expr::List(list) => list.elements.iter().try_for_each(|item| self.expression(&item.expr, loops)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&entry.key.expr, loops)?;
                    self.expression(&entry.value.expr, loops)
                }
                EntryExpr::StructField(_) => Err("it builds an object of a type".to_owned()),
            }),
            Expr::Struct(_) => Err("it builds an object of a type".into()),
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                let operator = name.starts_with(['_', '!', '-']) || name == "@in";
                if !operator && !FUNCTIONS.contains(&name) {
                    let known = FUNCTIONS[..FUNCTIONS.len() - 1].join(", ");
                    return Err(format!("there is no function `{name}`; there are {known}, and the loops"));
                }
                let accumulates =
                    matches!(call.args.first().map(|arg| &arg.expr), Some(Expr::Ident(name)) if name.starts_with('@'));
                if name == "_+_" && !accumulates {
                    self.additions += 1;
                    self.growth += u32::from(loops > 0);
                }
                let parts = call.target.as_deref().into_iter().chain(&call.args);
                parts.into_iter().try_for_each(|part| self.expression(&part.expr, loops))
            }
            Expr::Comprehension(inner) => self.comprehension(inner, loops),
        }
    }

    fn comprehension(&mut self, inner: &ComprehensionExpr, loops: u32) -> Result<(), String> {
        self.loops = self.loops.max(loops + 1);
        self.expression(&inner.iter_range.expr, loops)?;
        self.expression(&inner.accu_init.expr, loops)?;
        let before = self.bound.len();
        self.bound.extend([inner.iter_var.clone(), inner.accu_var.clone()]);
        self.bound.extend(inner.iter_var2.clone());
        self.expression(&inner.loop_cond.expr, loops + 1)?;
        self.expression(&inner.loop_step.expr, loops + 1)?;
        self.expression(&inner.result.expr, loops)?;
        self.bound.truncate(before);
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<(), String> {
        self.reads_input |= name == "input";
        let known = matches!(name, "output" | "input") || name.starts_with('@') || self.bound.iter().any(|b| b == name);
        if known { Ok(()) } else { Err(format!("there is no `{name}`; there are output and input")) }
    }
}

/// How large what is looked at is.
#[derive(Default)]
struct Size {
    /// Values, and their text in units of 64 bytes.
    values: usize,
    /// The longest list or object.
    widest: usize,
}

impl Size {
    fn add(&mut self, value: &Value, depth: usize) {
        self.values += 1;
        match value {
            Value::String(text) => self.values += text.len() / 64,
            Value::Array(items) if depth < DEPTH_MAX => {
                self.widest = self.widest.max(items.len());
                items.iter().for_each(|item| self.add(item, depth + 1));
            }
            Value::Object(fields) if depth < DEPTH_MAX => {
                self.widest = self.widest.max(fields.len());
                fields.values().for_each(|field| self.add(field, depth + 1));
            }
            _ => {}
        }
    }

    /// At most so many steps: what is within all loops is done `wide^loops` times, and may look at
    /// everything each time. A loop without growth makes lists no longer than what it reads, or than
    /// a list that is written out.
    fn steps(&self, expression: &Expression) -> usize {
        let all = 1 + self.values / 8;
        let copied = all.saturating_mul(expression.additions * expression.additions);
        if expression.loops == 0 {
            return copied;
        }
        let wide = (self.widest + expression.source.len() / 8).saturating_mul(1 << expression.growth);
        wide.saturating_pow(expression.loops).saturating_mul(all).saturating_add(copied)
    }
}

/// JSON as values of the language.
fn converted(value: &Value) -> cel::Value {
    convert(value, 0)
}

fn convert(value: &Value, depth: usize) -> cel::Value {
    match value {
        Value::Bool(truth) => cel::Value::Bool(*truth),
        Value::Number(number) => cel::Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => cel::Value::String(Arc::new(text.clone())),
        Value::Array(items) if depth < DEPTH_MAX => {
            cel::Value::List(Arc::new(items.iter().map(|item| convert(item, depth + 1)).collect()))
        }
        Value::Object(fields) if depth < DEPTH_MAX => {
            let entry =
                |(name, field): (&String, &Value)| (Key::String(Arc::new(name.clone())), convert(field, depth + 1));
            let map: HashMap<Key, cel::Value> = fields.iter().map(entry).collect();
            cel::Value::Map(Map { map: Arc::new(map) })
        }
        Value::Null | Value::Array(_) | Value::Object(_) => cel::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn no_source_makes_it_panic(source in "(output|input|\\.a|\\[0\\]|[-+*/%!<>=?:&|(),\\[\\]{}'\"0-9a-z ]|all\\(x, |size\\(|\\PC){0,24}") {
            match Expression::compile(&source) {
                Ok(expression) => drop(expression.holds(&json!({ "a": [1, "b", null] }), &json!("in"))),
                Err(why) => prop_assert!(!why.is_empty()),
            }
        }
    }

    #[test]
    fn the_deepest_that_is_allowed_fits_a_stack() {
        for part in
            ["all(x, ", "size(", "(", "[", "-", "!", "{1: ", "a ? b : ", "a ? (", "[0].all(x, ", "output.all(x, "]
        {
            for count in [1, 15, 16, 17, 40, 120] {
                let source = part.repeat(count);
                for end in ["", "1", "x"] {
                    if let Ok(expression) = Expression::compile(&format!("{source}{end}")) {
                        drop(expression.holds(&json!([1]), &json!("in")));
                    }
                }
            }
        }
    }

    fn ask(source: &str, output: Value) -> String {
        let expression = Expression::compile(source).unwrap();
        match expression.holds(&output, &json!({ "text": "in", "n": 3 })) {
            Ok(()) => "holds".into(),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn invariants_across_fields() {
        let invoice = json!({
            "net": 100, "tax": 19.0, "total": 119, "note": null, "text": "19.00", "on": true,
            "items": [{ "price": 60, "of": ["a"] }, { "price": 40.0, "of": [] }],
        });
        for (source, said) in [
            ("output.net + output.tax == output.total", "holds"),
            ("near(output.net * 0.19, output.tax, 0.001)", "holds"),
            ("output.net + 1.0 > output.total", "is false"),
            ("output.items.all(i, i.price > 0)", "holds"),
            ("output.items.exists(i, i.price == 40)", "holds"),
            ("output.items.map(i, i.price).size() == 2", "holds"),
            ("output.items.all(i, i.of.all(o, o == 'a'))", "holds"),
            ("output.items.filter(i, size(i.of) > 0).size() == 1", "holds"),
            ("has(output.note) && output.note == null", "holds"),
            ("double(output.text) == output.tax", "holds"),
            ("output.text.startsWith('19') && 'net' in output", "holds"),
            ("output.on ? input.n == 3 : false", "holds"),
            ("output.net", "gives neither true nor false"),
            ("output.nothing == 1", "cannot be evaluated: No such key: nothing"),
        ] {
            assert_eq!(ask(source, invoice.clone()), said, "{source}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_expression_is_said_at_load() {
        for (source, why) in [
            ("answer.net > 0", "there is no `answer`; there are output and input"),
            ("output.a.matches('x')", "there is no function `matches`; there are size, contains,"),
            ("output.all(a, a.all(b, b.all(c, true)))", "its loops are nested deeper than 2"),
            ("output.map(x, x+x+x+x+x+x)", "there are more than 4 additions within loops"),
            ("output.net >", "Syntax error"),
            ("", "Syntax error"),
        ] {
            let error = Expression::compile(source).unwrap_err();
            assert!(error.contains(why), "{source}: {error}");
        }
        assert!(Expression::compile(&"(".repeat(40)).unwrap_err().contains("brackets"));
        assert!(Expression::compile(&format!("{}true", "!".repeat(99))).unwrap_err().contains("brackets"));
        assert!(Expression::compile(&"a".repeat(1001)).unwrap_err().contains("1001 bytes"));
    }

    #[test]
    fn work_is_bounded() {
        let wide = json!(vec![1; 5000]);
        assert_eq!(ask("output.all(a, output.all(b, a == b))", wide.clone()), Untrue::TooMuch.to_string());
        assert_eq!(ask("size(output) == 5000", wide), "holds");
        let sums = ["output.text"; 80].join("+");
        let long = json!({ "text": "a".repeat(1 << 20) });
        assert_eq!(ask(&format!("size({sums}) > 0"), long), Untrue::TooMuch.to_string());
        let doubling = "[output].map(x, x+x).map(x, x+x).map(x, x+x).map(x, x+x).size() == 1";
        assert_eq!(ask(doubling, json!([1, 2])), "holds");
        assert_eq!(ask(doubling, json!(vec![1; 800])), Untrue::TooMuch.to_string());
    }
}
