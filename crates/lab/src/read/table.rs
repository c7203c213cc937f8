//! promptfoo's CSV: a column for each variable, `__expected` for what is right.
//! <https://www.promptfoo.dev/docs/configuration/test-cases/>

use serde_json::{Map, Value, json};

use super::{Draft, Wrong, promptfoo};

/// Assertions whose value is a list, commas between its items.
const LISTS: [&str; 4] = ["contains-all", "contains-any", "icontains-all", "icontains-any"];

pub(super) fn read_csv(text: &str) -> Result<Vec<Draft>, Wrong> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let wrong = |error: csv::Error| {
        let line = error.position().map_or_else(String::new, |at| format!("line {}", at.line()));
        (line, format!("not CSV: {error}"))
    };
    let header = reader.headers().map_err(wrong)?.clone();
    let mut drafts = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        let place = record.position().map_or_else(String::new, |at| format!("line {}", at.line()));
        drafts.push(draft(&header, &record, &place).map_err(|why| (place, why))?);
    }
    Ok(drafts)
}

fn draft(header: &csv::StringRecord, record: &csv::StringRecord, place: &str) -> Result<Draft, String> {
    let (mut vars, mut name, mut written) = (Map::new(), None, Vec::new());
    for (column, cell) in header.iter().map(str::trim).zip(record) {
        match column {
            "__description" => name = Some(cell.to_owned()).filter(|name| !name.is_empty()),
            _ if is_expected(column) => written.extend((!cell.trim().is_empty()).then(|| assertion(cell))),
            _ if column.starts_with("__") => {
                return Err(format!("the column `{column}` is not supported: take it out"));
            }
            _ => {
                vars.insert(column.to_owned(), Value::from(cell));
            }
        }
    }
    let input = Value::Object(vars);
    let read = |value: &Value| promptfoo::assertion(value, &input).map_err(|why| format!("__expected: {why}"));
    let asserts = written.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if asserts.is_empty() {
        return Err("no `__expected` says what is right".into());
    }
    Ok(Draft { place: place.to_owned(), name, input, expected: None, asserts })
}

/// `__expected`, `__expected1`, `__expected2`, …
fn is_expected(column: &str) -> bool {
    column.strip_prefix("__expected").is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

/// `type: value`, `type(threshold): value`, or a text to be equal to.
fn assertion(cell: &str) -> Value {
    let kind = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let Some((head, value)) = cell.split_once(':') else {
        let bare = cell.trim();
        let alone = ["is-json", "contains-json", "not-is-json", "not-contains-json"].contains(&bare);
        return if alone { json!({ "type": bare }) } else { json!({ "type": "equals", "value": cell }) };
    };
    let (name, threshold) = match head.strip_suffix(')').and_then(|head| head.split_once('(')) {
        Some((name, threshold)) => (name, threshold.trim().parse::<f64>().ok()),
        None => (head, None),
    };
    if !kind(name) {
        return json!({ "type": "equals", "value": cell });
    }
    let value = value.trim();
    let list = LISTS.contains(&name.strip_prefix("not-").unwrap_or(name));
    let value = if list { Value::from_iter(value.split(',').map(str::trim)) } else { Value::from(value) };
    let mut assertion = json!({ "type": name, "value": value });
    if let Some(threshold) = threshold {
        assertion["threshold"] = json!(threshold);
    }
    assertion
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_as_promptfoo_reads_them() {
        let check = |cell: &str, expected: Value| assert_eq!(assertion(cell), expected, "{cell}");
        check("billing", json!({ "type": "equals", "value": "billing" }));
        check("At 10:30, sharp", json!({ "type": "equals", "value": "At 10:30, sharp" }));
        check("contains: refund", json!({ "type": "contains", "value": "refund" }));
        check("not-icontains-any: a, b", json!({ "type": "not-icontains-any", "value": ["a", "b"] }));
        check("levenshtein(3): cat", json!({ "type": "levenshtein", "value": "cat", "threshold": 3.0 }));
        check("is-json", json!({ "type": "is-json" }));
    }
}
