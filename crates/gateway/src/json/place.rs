//! Where in a JSON text something is: line and column, or a JSON pointer.

/// The index of the quote that ends the string which begins at `start`, or of the last byte.
pub(super) fn end_of_string(body: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = body.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if body[at] == b'"' {
            return at;
        }
        at += 2;
    }
    body.len().saturating_sub(1)
}

/// Line and column, both from 1.
pub(super) fn position(body: &[u8], at: usize) -> (usize, usize) {
    let before = &body[..at.min(body.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1);
    (line, at - start + 1)
}

/// How many bytes a parser had read when it stopped at this line and column.
pub(super) fn offset(body: &[u8], line: usize, column: usize) -> usize {
    let newlines = body.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1);
    let start = std::iter::once(0).chain(newlines).nth(line.saturating_sub(1)).unwrap_or(0);
    (start + column).min(body.len())
}

/// What encloses a place.
enum Step {
    /// An object: the last key seen, as it is written between its quotes, and whether the next
    /// string is a key.
    Object { key: Option<(usize, usize)>, expects_key: bool },
    /// An array: the index of the current element.
    Array(usize),
}

/// The JSON pointer of the value that the first `end` bytes stop in or just behind. The bytes are
/// JSON up to there.
pub(super) fn pointer(body: &[u8], end: usize) -> String {
    let mut steps: Vec<Step> = Vec::new();
    let mut at = 0;
    while at < end.min(body.len()) {
        match body[at] {
            b'{' => steps.push(Step::Object { key: None, expects_key: true }),
            b'[' => steps.push(Step::Array(0)),
            b'}' | b']' => drop(steps.pop()),
            b',' => match steps.last_mut() {
                Some(Step::Object { expects_key, .. }) => *expects_key = true,
                Some(Step::Array(index)) => *index += 1,
                None => {}
            },
            b'"' => {
                let last = end_of_string(body, at);
                if let Some(Step::Object { key, expects_key: expects_key @ true }) = steps.last_mut() {
                    *key = Some((at + 1, last));
                    *expects_key = false;
                }
                at = last;
            }
            _ => {}
        }
        at += 1;
    }
    steps.iter().map(|step| written(body, step)).collect()
}

fn written(body: &[u8], step: &Step) -> String {
    match step {
        Step::Object { key: Some((start, end)), .. } => {
            let key = String::from_utf8_lossy(&body[*start..*end]);
            format!("/{}", key.replace('~', "~0").replace('/', "~1"))
        }
        Step::Object { key: None, .. } => String::new(),
        Step::Array(index) => format!("/{index}"),
    }
}
