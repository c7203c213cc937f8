//! SQL: whether a text is a statement, and whether it has one in it.

use sqlparser::dialect::{self, Dialect as Grammar};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

/// The longest text that is looked at, in bytes.
const BYTES_MAX: usize = 1 << 16;
/// How deep expressions may be nested.
const DEPTH_MAX: usize = 40;

/// Whose SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Any,
    BigQuery,
    Hive,
    MsSql,
    MySql,
    Postgres,
    Redshift,
    Snowflake,
    Sqlite,
}

impl Dialect {
    /// By the names that promptfoo documents for `databaseType`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "athena" | "db2" | "flinksql" | "noql" | "trino" => Self::Any,
            "bigquery" => Self::BigQuery,
            "hive" => Self::Hive,
            "mariadb" | "mysql" => Self::MySql,
            "postgresql" => Self::Postgres,
            "redshift" => Self::Redshift,
            "snowflake" => Self::Snowflake,
            "sqlite" => Self::Sqlite,
            "transactsql" => Self::MsSql,
            _ => return None,
        })
    }

    fn grammar(self) -> &'static dyn Grammar {
        match self {
            Self::Any => &dialect::GenericDialect {},
            Self::BigQuery => &dialect::BigQueryDialect {},
            Self::Hive => &dialect::HiveDialect {},
            Self::MsSql => &dialect::MsSqlDialect {},
            Self::MySql => &dialect::MySqlDialect {},
            Self::Postgres => &dialect::PostgreSqlDialect {},
            Self::Redshift => &dialect::RedshiftSqlDialect {},
            Self::Snowflake => &dialect::SnowflakeDialect,
            Self::Sqlite => &dialect::SQLiteDialect {},
        }
    }
}

/// Whether the text is SQL: one statement or several. `SELECT a b FROM` is taken for a forgotten
/// comma, as promptfoo takes it, though the standard would read `b` as a name for `a`.
///
/// # Errors
/// Why not.
pub(crate) fn is_sql(text: &str, dialect: Dialect) -> Result<(), String> {
    if text.len() > BYTES_MAX {
        return Err("is too long to be read as SQL".into());
    }
    let grammar = dialect.grammar();
    let tokens = Tokenizer::new(grammar, text).tokenize().map_err(|error| format!("is not SQL: {error}"))?;
    if tokens.iter().all(|token| matches!(token, Token::Whitespace(_) | Token::SemiColon)) {
        return Err("has no statement of SQL".into());
    }
    if forgets_comma(&tokens) {
        return Err("seems to lack a comma between two columns".into());
    }
    let parser = Parser::new(grammar).with_recursion_limit(DEPTH_MAX).with_tokens(tokens);
    let mut parser = parser;
    parser.parse_statements().map(|_| ()).map_err(|error| format!("is not SQL: {error}"))
}

/// `SELECT one two FROM`, where both are bare words.
fn forgets_comma(tokens: &[Token]) -> bool {
    let bare: Vec<Option<&str>> = tokens
        .iter()
        .filter(|token| !matches!(token, Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab)))
        .map(|token| match token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.as_str()),
            _ => None,
        })
        .collect();
    let is = |word: Option<&str>, name: &str| word.is_some_and(|word| word.eq_ignore_ascii_case(name));
    let modifier = |word: Option<&str>| is(word, "all") || is(word, "distinct");
    bare.iter().enumerate().filter(|(_, word)| is(**word, "select")).any(|(at, _)| {
        let from = bare[at + 1..].iter().take_while(|word| modifier(**word)).count() + at + 1;
        match bare.get(from..from + 3) {
            Some([Some(_), Some(second), third]) => is(*third, "from") && !second.eq_ignore_ascii_case("from"),
            _ => false,
        }
    })
}

/// Whether some fenced block of SQL (or without a language) is SQL; where there is none, the text.
pub(crate) fn contains_sql(text: &str, dialect: Dialect) -> bool {
    let mut blocks: Vec<String> = Vec::new();
    let mut open: Option<(&str, bool, String)> = None;
    for line in text.lines() {
        let bare = line.trim();
        let marks = bare.len() - bare.trim_start_matches(['`', '~']).len();
        match &mut open {
            None if marks >= 3 => {
                let language = bare[marks..].trim();
                open =
                    Some((&bare[..marks], language.is_empty() || language.eq_ignore_ascii_case("sql"), String::new()));
            }
            None => {}
            Some((fence, is_sql, body)) => {
                if marks >= fence.len() && bare.len() == marks && bare.starts_with(&fence[..1]) {
                    if *is_sql {
                        blocks.push(std::mem::take(body));
                    }
                    open = None;
                } else {
                    body.push_str(line);
                    body.push('\n');
                }
            }
        }
    }
    if blocks.is_empty() {
        return is_sql(text, dialect).is_ok();
    }
    blocks.iter().any(|block| is_sql(block, dialect).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements() {
        for yes in [
            "SELECT a, b FROM t WHERE c = 'x;y'",
            "select 1;",
            "INSERT INTO t (a) VALUES (1); DELETE FROM t",
            "SELECT DISTINCT a FROM t",
            "SELECT a AS b FROM t",
            "SELECT 'a b from' FROM t",
        ] {
            assert_eq!(is_sql(yes, Dialect::MySql), Ok(()), "{yes}");
        }
        for no in [
            "",
            " ; ",
            "SELECT",
            "SELECT * FORM t",
            "SELECT a b FROM t",
            "hello there",
            "SELECT `a FROM t",
            "SELECT (1",
        ] {
            assert!(is_sql(no, Dialect::MySql).is_err(), "{no}");
        }
        assert!(is_sql(&format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000)), Dialect::Any).is_err());
    }

    #[test]
    fn within_text() {
        for (text, found) in [
            ("Try:\n```sql\nSELECT 1\n```\nDone.", true),
            ("```\nSELECT 1\n```", true),
            ("```python\nSELECT 1\n```", false),
            ("SELECT 1", true),
            ("Use SELECT 1 here", false),
            ("```sql\nSELEC 1\n```", false),
            ("~~~sql\nSELECT 1\n~~~", true),
            ("", false),
        ] {
            assert_eq!(contains_sql(text, Dialect::MySql), found, "{text}");
        }
    }
}
