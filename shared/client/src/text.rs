//! Texts for messages.

/// How many characters of an answer's body a message holds.
const MAX_DETAIL_CHARS: usize = 300;

/// The beginning of an answer's body, on one line.
pub(crate) fn detail(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(MAX_DETAIL_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "no text".into(),
        None => line,
    }
}
