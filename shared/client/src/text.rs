//! Texts for messages.

/// How many characters of a response's body a message holds.
const MAX_EXCERPT_CHARS: usize = 300;

/// Returns the beginning of a response's body, on one line.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(MAX_EXCERPT_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "no text".into(),
        None => line,
    }
}
