//! Reads a JSON text from its beginning to its end, without making values of it.

use std::borrow::Cow;

use super::malformed::Malformed;
use super::text::Text;

/// The most levels that a record may have: `serde_json` decodes no more either.
pub const MAX_LEVELS: usize = 127;

/// The beginning of a value, or a whole value that holds no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'t> {
    /// The value `null`.
    Null,
    /// True or false.
    Bool(bool),
    /// A number as it is written.
    Number(&'t str),
    /// A text.
    Text(Text<'t>),
    /// The begin of an object: [`Reader::next_member`] gives its members.
    Object,
    /// The begin of a list: [`Reader::has_element`] says whether there is another element.
    List,
}

/// Reads a JSON text token by token. It checks the grammar of everything that it passes.
#[derive(Debug)]
pub struct Reader<'t> {
    text: &'t str,
    position: usize,
    levels: usize,
    /// How many levels are read. `None` for any number of them.
    max_levels: Option<usize>,
    /// Whether the object or the list that was opened last has given no member or element so far.
    is_at_first: bool,
    /// Whether spaces were passed.
    has_spaces: bool,
}

impl<'t> Reader<'t> {
    /// Creates a reader of `text` that reads [`MAX_LEVELS`] levels.
    #[inline]
    pub fn new(text: &'t str) -> Self {
        Self { text, position: 0, levels: 0, max_levels: Some(MAX_LEVELS), is_at_first: false, has_spaces: false }
    }

    /// Lets [`Reader::skip_value`] pass values of any number of levels.
    #[must_use]
    pub fn with_any_levels(mut self) -> Self {
        self.max_levels = None;
        self
    }

    /// Reads the next value: all of it, or its begin if it holds others.
    ///
    /// # Errors
    ///
    /// There is no value, or it has too many levels.
    #[inline]
    pub fn next_value(&mut self) -> Result<Token<'t>, Malformed> {
        match self.peek()? {
            b'"' => self.text().map(Token::Text),
            b'{' => self.open().map(|()| Token::Object),
            b'[' => self.open().map(|()| Token::List),
            b't' => self.word("true").map(|()| Token::Bool(true)),
            b'f' => self.word("false").map(|()| Token::Bool(false)),
            b'n' => self.word("null").map(|()| Token::Null),
            _ => self.number().map(Token::Number),
        }
    }

    /// Reads the name of the next member of the object that was opened last and is not closed. `None` closes it. The member's value must be
    /// read before the next name.
    ///
    /// # Errors
    ///
    /// There is neither a member nor the end of an object.
    #[inline]
    pub fn next_member(&mut self) -> Result<Option<Text<'t>>, Malformed> {
        if !self.continues(b'}')? {
            return Ok(None);
        }
        if self.peek()? != b'"' {
            return Err(Malformed);
        }
        let name = self.text()?;
        self.expect(b':')?;
        Ok(Some(name))
    }

    /// Returns whether the list that was opened last and is not closed has another element, which must be read next. False closes the list.
    ///
    /// # Errors
    ///
    /// There is neither an element nor the end of a list.
    #[inline]
    pub fn has_element(&mut self) -> Result<bool, Malformed> {
        self.continues(b']')
    }

    /// Reads the next value if it holds no others. Returns `None` if it is an object or a list, which is not read.
    ///
    /// # Errors
    ///
    /// There is no value.
    #[inline]
    pub fn next_scalar(&mut self) -> Result<Option<Token<'t>>, Malformed> {
        match self.peek()? {
            b'{' | b'[' => Ok(None),
            _ => self.next_value().map(Some),
        }
    }

    /// Returns whether the next value is an object. It is not read.
    ///
    /// # Errors
    ///
    /// The text ends before.
    #[inline]
    pub fn is_object_next(&mut self) -> Result<bool, Malformed> {
        Ok(self.peek()? == b'{')
    }

    /// Returns whether the next value is a list. It is not read.
    ///
    /// # Errors
    ///
    /// The text ends before.
    #[inline]
    pub fn is_list_next(&mut self) -> Result<bool, Malformed> {
        Ok(self.peek()? == b'[')
    }

    /// Passes the next value, and returns its text.
    ///
    /// # Errors
    ///
    /// As [`Reader::next_value`], for all that is inside the value.
    pub fn skip_value(&mut self) -> Result<&'t str, Malformed> {
        self.peek()?;
        let (start, outer_levels) = (self.position, self.levels);
        let mut opened = Brackets::default();
        self.open_or_skip(&mut opened)?;
        while let Some(is_object) = opened.last() {
            let continues = if is_object { self.next_member()?.is_some() } else { self.has_element()? };
            if continues {
                self.open_or_skip(&mut opened)?;
            } else {
                opened.pop();
            }
        }
        debug_assert_eq!(self.levels, outer_levels);
        Ok(&self.text[start..self.position])
    }

    /// Passes the next value, or opens it.
    fn open_or_skip(&mut self, opened: &mut Brackets) -> Result<(), Malformed> {
        match self.next_value()? {
            Token::Object => opened.push(true),
            Token::List => opened.push(false),
            Token::Null | Token::Bool(_) | Token::Number(_) | Token::Text(_) => {}
        }
        Ok(())
    }

    /// Passes the spaces at the end of the text.
    ///
    /// # Errors
    ///
    /// There is something else.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.skip_spaces();
        if self.position == self.text.len() && self.levels == 0 { Ok(()) } else { Err(Malformed) }
    }

    /// Returns the position of the next value in the text.
    ///
    /// # Errors
    ///
    /// The text ends before.
    #[inline]
    pub fn value_position(&mut self) -> Result<usize, Malformed> {
        self.peek()?;
        Ok(self.position)
    }

    /// Returns the text from `start` to the present position.
    #[inline]
    pub fn text_since(&self, start: usize) -> &'t str {
        &self.text[start..self.position]
    }

    /// Goes back to `start`, a position of a value that lies in the same object or list as the present one.
    pub(super) fn go_back(&mut self, start: usize, levels: usize) {
        (self.position, self.levels, self.is_at_first) = (start, levels, false);
    }

    /// Returns the number of objects and lists that are open.
    pub(super) fn levels(&self) -> usize {
        self.levels
    }

    /// Returns whether spaces were passed since this was asked last.
    pub(super) fn take_spaces(&mut self) -> bool {
        std::mem::take(&mut self.has_spaces)
    }

    /// Returns the next byte that is no space, and does not pass it.
    #[inline]
    fn peek(&mut self) -> Result<u8, Malformed> {
        self.skip_spaces();
        self.byte().ok_or(Malformed)
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    #[inline]
    fn skip_spaces(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.has_spaces = true;
            self.position += 1;
        }
    }

    #[inline]
    fn expect(&mut self, wanted: u8) -> Result<(), Malformed> {
        if self.peek()? != wanted {
            return Err(Malformed);
        }
        self.position += 1;
        Ok(())
    }

    /// Opens the object or the list at the present position.
    #[inline]
    fn open(&mut self) -> Result<(), Malformed> {
        if self.max_levels.is_some_and(|max| self.levels >= max) {
            return Err(Malformed);
        }
        self.levels += 1;
        self.position += 1;
        self.is_at_first = true;
        Ok(())
    }

    /// Passes the comma before the next member or element, or closes the object or the list that ends with `end`.
    #[inline]
    fn continues(&mut self, end: u8) -> Result<bool, Malformed> {
        let is_at_first = std::mem::take(&mut self.is_at_first);
        match self.peek()? {
            byte if byte == end => {
                self.position += 1;
                self.levels = self.levels.checked_sub(1).ok_or(Malformed)?;
                Ok(false)
            }
            b',' if !is_at_first => {
                self.position += 1;
                Ok(true)
            }
            _ if is_at_first => Ok(true),
            _ => Err(Malformed),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Malformed> {
        if !self.text.as_bytes()[self.position..].starts_with(word.as_bytes()) {
            return Err(Malformed);
        }
        self.position += word.len();
        Ok(())
    }

    #[inline]
    fn text(&mut self) -> Result<Text<'t>, Malformed> {
        let begin = self.position + 1;
        let (text, end) = Text::read(self.text, begin).ok_or(Malformed)?;
        self.position = end;
        Ok(text)
    }

    fn number(&mut self) -> Result<&'t str, Malformed> {
        let start = self.position;
        if self.byte() == Some(b'-') {
            self.position += 1;
        }
        if self.byte() == Some(b'0') {
            self.position += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.position += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.position += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.position += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.position])
    }

    /// Passes one or more digits.
    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.position;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.position += 1;
        }
        if self.position == start { Err(Malformed) } else { Ok(()) }
    }
}

/// The objects and lists that are open, one bit for each. A record has few levels; a body of thousands is passed too.
#[derive(Default)]
struct Brackets {
    /// The innermost levels, the last one in the lowest bit.
    bits: u64,
    count: usize,
    /// The levels around them, 64 in each number.
    outer: Vec<u64>,
}

impl Brackets {
    fn push(&mut self, is_object: bool) {
        if self.count > 0 && self.count.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = (self.bits << 1) | u64::from(is_object);
        self.count += 1;
    }

    fn pop(&mut self) {
        self.bits >>= 1;
        self.count = self.count.saturating_sub(1);
        if self.count.is_multiple_of(64)
            && let Some(bits) = self.outer.pop()
        {
            self.bits = bits;
        }
    }

    /// Returns whether the innermost one is an object; `None` if all are closed.
    fn last(&self) -> Option<bool> {
        (self.count > 0).then_some(self.bits & 1 == 1)
    }
}

/// Returns the members of a JSON object as texts, in their order; `None` for another value.
pub fn members(text: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let mut reader = Reader::new(text).with_any_levels();
    let mut members = Vec::new();
    if reader.next_value().ok()? != Token::Object {
        return None;
    }
    while let Some(name) = reader.next_member().ok()? {
        members.push((name.unescape().ok()?, reader.skip_value().ok()?));
    }
    reader.end().ok()?;
    Some(members)
}

/// Returns the elements of a JSON list as texts; `None` for another value.
pub fn elements(text: &str) -> Option<Vec<&str>> {
    let mut reader = Reader::new(text).with_any_levels();
    let mut elements = Vec::new();
    if reader.next_value().ok()? != Token::List {
        return None;
    }
    while reader.has_element().ok()? {
        elements.push(reader.skip_value().ok()?);
    }
    reader.end().ok()?;
    Some(elements)
}
