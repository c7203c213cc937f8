//! The data set's two columns: CSV as RFC 4180 has it.

use std::path::Path;

use anyhow::{Context as _, ensure};

/// One labelled query.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) text: String,
    pub(crate) label: String,
}

/// Reads `text,category` with its header.
///
/// # Errors
/// Which row does not have two fields.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    let content = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    rows(&content).with_context(|| path.display().to_string())
}

fn rows(content: &str) -> anyhow::Result<Vec<Row>> {
    let mut records = parse(content).into_iter();
    let header = records.next().unwrap_or_default();
    ensure!(header == ["text", "category"], "the header is {header:?}, not text,category");
    let row = |(n, record): (usize, Vec<String>)| {
        let [text, label] = <[String; 2]>::try_from(record)
            .map_err(|record| anyhow::anyhow!("row {} has {} fields, not 2", n + 2, record.len()))?;
        Ok(Row { text, label })
    };
    records.enumerate().map(row).collect()
}

/// Fields may be quoted; then they may hold commas, line ends, and quotes written twice.
fn parse(content: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let mut record = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut characters = content.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_commas_and_line_ends_within_a_field() {
        let content = "text,category\r\nplain,a\n\"one, two\",b\n\"he said \"\"no\"\"\nand left\",c\n\"\",d?";
        let read: Vec<_> = rows(content).unwrap().into_iter().map(|row| (row.text, row.label)).collect();
        let expected = [("plain", "a"), ("one, two", "b"), ("he said \"no\"\nand left", "c"), ("", "d?")];
        assert_eq!(read, expected.map(|(text, label)| (text.to_owned(), label.to_owned())));
    }

    #[test]
    fn what_is_not_the_data_set_is_refused() {
        assert!(rows("query,label\na,b\n").is_err());
        assert!(rows("text,category\na\n").unwrap_err().to_string().contains("row 2"));
    }
}
