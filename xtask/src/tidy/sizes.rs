//! Sizes as a ratchet: what is over a limit stands in `xtask/tidy.toml` with its size, and the
//! list may only shrink.

use std::collections::BTreeMap;

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use toml::{Table, Value};

use super::{Finding, Text};

const LIST: &str = "xtask/tidy.toml";

/// What is measured: the name of its table in the list, its limit, its unit.
const LIMITS: [(&str, usize, &str); 3] =
    [("files", 500, "lines"), ("functions", 70, "lines"), ("parameters", 5, "parameters")];

/// Something with a size.
struct Sized {
    kind: &'static str,
    path: String,
    line: usize,
    /// As it stands in the list.
    key: String,
    size: usize,
}

pub(super) fn findings(files: &[Text]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut over = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs") && !is_test(&file.path)) {
        match syn::parse_file(&file.content) {
            Ok(syntax) => over.extend(measure(file, &syntax)),
            Err(error) => {
                findings.push(Finding::new(&file.path, error.span().start().line, format!("is not Rust: {error}")));
            }
        }
    }
    let content = files.iter().find(|file| file.path == LIST).map_or("", |file| &file.content);
    match content.parse() {
        Ok(list) => findings.extend(compare(&over, &list, content)),
        Err(error) => findings.push(Finding::new(LIST, 1, format!("is not TOML: {error}"))),
    }
    findings
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.contains("/benches/")
}

/// What of this file is over its limit.
fn measure(file: &Text, syntax: &syn::File) -> Vec<Sized> {
    let mut sizes = Sizes { path: &file.path, scope: Vec::new(), found: Vec::new(), test_lines: 0 };
    sizes.visit_file(syntax);
    let lines = file.content.lines().count() - sizes.test_lines;
    let mut found = sizes.found;
    found.push(Sized { kind: "files", path: file.path.clone(), line: 1, key: file.path.clone(), size: lines });
    found.retain(|sized| LIMITS.iter().any(|(kind, limit, _)| *kind == sized.kind && sized.size > *limit));
    found
}

struct Sizes<'a> {
    path: &'a str,
    /// The type or trait that a function belongs to.
    scope: Vec<String>,
    found: Vec<Sized>,
    test_lines: usize,
}

impl Sizes<'_> {
    fn function(&mut self, signature: &syn::Signature, end: Span) {
        let line = signature.span().start().line;
        let names = self.scope.iter().cloned().chain([signature.ident.to_string()]).collect::<Vec<_>>();
        let key = format!("{} {}", self.path, names.join("::"));
        let path = self.path.to_owned();
        let typed = signature.inputs.iter().filter(|input| matches!(input, syn::FnArg::Typed(_))).count();
        let size = end.end().line + 1 - line;
        self.found.push(Sized { kind: "functions", path: path.clone(), line, key: key.clone(), size });
        self.found.push(Sized { kind: "parameters", path, line, key, size: typed });
    }
}

impl<'ast> Visit<'ast> for Sizes<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.content.is_some() && is_test_only(&module.attrs) {
            self.test_lines += module.span().end().line + 1 - module.span().start().line;
            return;
        }
        visit::visit_item_mod(self, module);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !is_test_only(&function.attrs) {
            self.function(&function.sig, function.block.span());
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.scope.push(type_name(&item.self_ty));
        visit::visit_item_impl(self, item);
        self.scope.pop();
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.function(&function.sig, function.block.span());
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.scope.push(item.ident.to_string());
        visit::visit_item_trait(self, item);
        self.scope.pop();
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        self.function(&function.sig, function.span());
        visit::visit_trait_item_fn(self, function);
    }
}

fn type_name(of: &syn::Type) -> String {
    match of {
        syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default(),
        syn::Type::Reference(reference) => type_name(&reference.elem),
        _ => String::new(),
    }
}

/// `#[cfg(test)]`, alone.
fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    let is_cfg = |attribute: &&syn::Attribute| attribute.path().is_ident("cfg");
    attributes.iter().filter(is_cfg).any(|cfg| cfg.parse_args::<syn::Path>().is_ok_and(|only| only.is_ident("test")))
}

/// What is over its limit against the list: nothing may grow, and what shrank leaves the list.
fn compare(over: &[Sized], list: &Table, content: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let line_of = |key: &str| content.lines().position(|line| line.contains(key)).map_or(1, |line| line + 1);
    let known = |kind: &String| LIMITS.iter().any(|(name, ..)| name == kind);
    findings.extend(
        list.keys()
            .filter(|kind| !known(kind))
            .map(|kind| Finding::new(LIST, line_of(kind), format!("there is no limit for `{kind}`"))),
    );
    for (kind, limit, unit) in LIMITS {
        let mut listed: BTreeMap<&str, &Value> = list
            .get(kind)
            .and_then(Value::as_table)
            .into_iter()
            .flatten()
            .map(|(key, size)| (key.as_str(), size))
            .collect();
        for sized in over.iter().filter(|sized| sized.kind == kind) {
            let size = sized.size;
            match listed.remove(sized.key.as_str()).and_then(Value::as_integer).map(usize::try_from) {
                Some(Ok(was)) if was == size => {}
                Some(Ok(was)) if size < was => {
                    findings.push(Finding::new(
                        LIST,
                        line_of(&sized.key),
                        format!("it shrank: write {size}, not {was}"),
                    ));
                }
                Some(_) => findings.push(Finding::new(
                    &sized.path,
                    sized.line,
                    format!("`{}` grew to {size} {unit}: what is over the limit may only shrink", sized.key),
                )),
                None => findings.push(Finding::new(
                    &sized.path,
                    sized.line,
                    format!("`{}` has {size} {unit}; the limit is {limit}: split it", sized.key),
                )),
            }
        }
        findings.extend(listed.keys().map(|key| {
            Finding::new(LIST, line_of(key), format!("`{key}` is within the limit, or gone: remove the line"))
        }));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(lines: usize) -> String {
        format!(
            "//! Why.\nstruct A;\nimpl A {{\n    fn long(&self) {{\n{}    }}\n}}\n",
            "        f();\n".repeat(lines - 2)
        )
    }

    #[track_caller]
    fn check(content: &str, list: &str, expected: &[&str]) {
        let code = Text { path: "crates/a/src/a.rs".into(), content: content.into() };
        let list = Text { path: LIST.into(), content: list.into() };
        let found: Vec<String> = findings(&[code, list]).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_long_function_is_found_unless_it_is_listed_at_its_size() {
        check(&long(70), "", &[]);
        let says = "crates/a/src/a.rs:4: `crates/a/src/a.rs A::long` has 71 lines; the limit is 70: split it";
        check(&long(71), "", &[says]);
        let list = "[functions]\n\"crates/a/src/a.rs A::long\" = 75\n";
        check(&long(75), list, &[]);
        check(&long(74), list, &["xtask/tidy.toml:2: it shrank: write 74, not 75"]);
        let says =
            "crates/a/src/a.rs:4: `crates/a/src/a.rs A::long` grew to 76 lines: what is over the limit may only shrink";
        check(&long(76), list, &[says]);
        let says = "xtask/tidy.toml:2: `crates/a/src/a.rs A::long` is within the limit, or gone: remove the line";
        check(&long(70), list, &[says]);
        check("", "[function]\n", &["xtask/tidy.toml:1: there is no limit for `function`"]);
    }

    #[test]
    fn self_is_no_parameter() {
        check("impl A { fn f(&self, a: u8, b: u8, c: u8, d: u8, e: u8) {} }", "", &[]);
        let says = "crates/a/src/a.rs:1: `crates/a/src/a.rs f` has 6 parameters; the limit is 5: split it";
        check("fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}", "", &[says]);
    }

    #[test]
    fn tests_may_be_long() {
        let tests = |cfg: &str| format!("{cfg}\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(600));
        check(&tests("#[cfg(test)]"), "", &[]);
        let says = "crates/a/src/a.rs:1: `crates/a/src/a.rs` has 603 lines; the limit is 500: split it";
        check(&tests("#[cfg(unix)]"), "", &[says]);
    }
}
