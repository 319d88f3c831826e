//! A text with its escapes decoded, step by step: for JSON, for addresses and for HTML, and these inside each other.

use std::ops::Range;

use memchr::{memchr2_iter, memchr3};

/// How many encodings inside each other are decoded.
const MAX_ENCODINGS: usize = 3;

/// A decoded text, and where each of its bytes comes from.
#[derive(Debug)]
pub(super) struct Decoded {
    bytes: Vec<u8>,
    /// The position in the original text of what each byte was decoded from, and at last the length of that text.
    origins: Vec<usize>,
}

/// The bytes whose decoding can lead to a secret: those of the secrets, and those that begin an escape.
#[derive(Debug)]
pub(super) struct Alphabet {
    is_member: [bool; 256],
    /// Whether a secret has a space, which forms write as `+`.
    has_space: bool,
}

/// An encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// `\u002B`, `\/`, `\x2b`.
    Json,
    /// `%2B`.
    Percent,
    /// `%2B`, and `+` for a space.
    Form,
    /// `&#43;`, `&#x2b;`, `&plus;`.
    Html,
}

impl Alphabet {
    /// Returns the alphabet of these secrets.
    pub(super) fn of<'s>(secrets: impl Iterator<Item = &'s [u8]>) -> Self {
        let mut is_member = [false; 256];
        for byte in secrets.flatten().chain(br"\%&+") {
            is_member[usize::from(*byte)] = true;
        }
        Self { has_space: is_member[usize::from(b' ')], is_member }
    }
}

impl Decoded {
    /// The decoded text.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the range of the original text that `range` was decoded from. That text begins at `start` of a longer one.
    pub(super) fn origin(&self, range: Range<usize>, start: usize) -> Range<usize> {
        start + self.origins[range.start]..start + self.origins[range.end]
    }
}

/// Calls `visit` with each text that `text` can be decoded to. A text whose decoding cannot show a secret is left out.
pub(super) fn for_each(text: &[u8], alphabet: &Alphabet, visit: &mut impl FnMut(&Decoded)) {
    let has_escape = memchr3(b'\\', b'%', b'&', text).is_some();
    let has_plus = alphabet.has_space && text.contains(&b'+');
    if !has_escape && !has_plus {
        return;
    }
    let mut level: Vec<Decoded> = decode_all(text, None, alphabet);
    for depth in 1..=MAX_ENCODINGS {
        level.iter().for_each(&mut *visit);
        if depth < MAX_ENCODINGS {
            let next = level.iter().flat_map(|outer| decode_all(&outer.bytes, Some(&outer.origins), alphabet));
            level = next.collect();
        }
    }
}

/// Returns the text decoded from each encoding.
fn decode_all(text: &[u8], origins: Option<&[usize]>, alphabet: &Alphabet) -> Vec<Decoded> {
    let encodings = [Encoding::Json, Encoding::Percent, Encoding::Form, Encoding::Html].into_iter();
    let is_used = |encoding: &Encoding| *encoding != Encoding::Form || alphabet.has_space;
    encodings.filter(is_used).filter_map(|encoding| decode(text, origins, encoding, alphabet)).collect()
}

/// Decodes `text`, whose bytes come from `origins`. Returns `None` if there is no escape in it that stands for a byte of the alphabet.
fn decode(text: &[u8], origins: Option<&[usize]>, encoding: Encoding, alphabet: &Alphabet) -> Option<Decoded> {
    let (first, second) = match encoding {
        Encoding::Json => (b'\\', b'\\'),
        Encoding::Percent => (b'%', b'%'),
        Encoding::Form => (b'%', b'+'),
        Encoding::Html => (b'&', b'&'),
    };
    let escape_at = |position: usize| {
        let is_escape = text[position] == first || text[position] == second;
        if is_escape { escape(&text[position..], encoding) } else { None }
    };
    let is_wanted = |(unit, _): (Unit, usize)| unit.bytes().iter().any(|byte| alphabet.is_member[usize::from(*byte)]);
    if !memchr2_iter(first, second, text).any(|position| escape_at(position).is_some_and(is_wanted)) {
        return None;
    }
    let origin = |position: usize| origins.map_or(position, |origins| origins[position]);
    let mut decoded = Decoded { bytes: Vec::with_capacity(text.len()), origins: Vec::with_capacity(text.len() + 1) };
    let mut position = 0;
    while position < text.len() {
        let (unit, length) = escape_at(position).unwrap_or((Unit::byte(text[position]), 1));
        decoded.bytes.extend_from_slice(unit.bytes());
        decoded.origins.resize(decoded.bytes.len(), origin(position));
        position += length;
    }
    decoded.origins.push(origin(text.len()));
    Some(decoded)
}

/// One decoded character or byte.
#[derive(Clone, Copy, Debug)]
struct Unit {
    bytes: [u8; 4],
    length: usize,
}

impl Unit {
    fn byte(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0], length: 1 }
    }

    fn character(code: u32) -> Option<Self> {
        let mut bytes = [0; 4];
        let length = char::from_u32(code)?.encode_utf8(&mut bytes).len();
        Some(Self { bytes, length })
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Returns what the escape at the beginning of `text` stands for, and its length.
fn escape(text: &[u8], encoding: Encoding) -> Option<(Unit, usize)> {
    match encoding {
        Encoding::Json => json_escape(text),
        Encoding::Form if text.first() == Some(&b'+') => Some((Unit::byte(b' '), 1)),
        Encoding::Percent | Encoding::Form => Some((Unit::byte(u8::try_from(hex(text, 1, 2)?).ok()?), 3)),
        Encoding::Html => html_escape(text),
    }
}

/// Returns the number that the `count` hexadecimal digits at `start` write.
fn hex(text: &[u8], start: usize, count: usize) -> Option<u32> {
    let digits = text.get(start..start + count)?;
    digits.iter().try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
}

fn json_escape(text: &[u8]) -> Option<(Unit, usize)> {
    let byte = match text.get(1)? {
        b'u' => return unicode_escape(text),
        b'x' => return Some((Unit::character(hex(text, 2, 2)?)?, 4)),
        b'b' => 0x08,
        b'f' => 0x0C,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        byte @ (b'"' | b'\\' | b'/' | b'\'') => *byte,
        _ => return None,
    };
    Some((Unit::byte(byte), 2))
}

/// Reads `\u` with four digits, and two of these for a character beyond 16 bits.
fn unicode_escape(text: &[u8]) -> Option<(Unit, usize)> {
    let first = hex(text, 2, 4)?;
    if !(0xD800..0xDC00).contains(&first) {
        return Some((Unit::character(first)?, 6));
    }
    let second = hex(text, 8, 4).filter(|second| text[6..8] == *br"\u" && (0xDC00..0xE000).contains(second))?;
    Some((Unit::character(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))?, 12))
}

/// The names that HTML has for ASCII characters.
const NAMES: [(&[u8], u8); 37] = [
    (b"amp", b'&'),
    (b"lt", b'<'),
    (b"gt", b'>'),
    (b"quot", b'"'),
    (b"apos", b'\''),
    (b"Tab", b'\t'),
    (b"NewLine", b'\n'),
    (b"excl", b'!'),
    (b"num", b'#'),
    (b"dollar", b'$'),
    (b"percnt", b'%'),
    (b"lpar", b'('),
    (b"rpar", b')'),
    (b"ast", b'*'),
    (b"midast", b'*'),
    (b"plus", b'+'),
    (b"comma", b','),
    (b"period", b'.'),
    (b"sol", b'/'),
    (b"colon", b':'),
    (b"semi", b';'),
    (b"equals", b'='),
    (b"quest", b'?'),
    (b"commat", b'@'),
    (b"lsqb", b'['),
    (b"lbrack", b'['),
    (b"bsol", b'\\'),
    (b"rsqb", b']'),
    (b"rbrack", b']'),
    (b"Hat", b'^'),
    (b"lowbar", b'_'),
    (b"grave", b'`'),
    (b"lcub", b'{'),
    (b"lbrace", b'{'),
    (b"verbar", b'|'),
    (b"rcub", b'}'),
    (b"rbrace", b'}'),
];

/// The most bytes of a name or a number between `&` and `;`.
const MAX_REFERENCE_BYTES: usize = 10;

/// Reads a character reference. A number may do without the `;` at its end.
fn html_escape(text: &[u8]) -> Option<(Unit, usize)> {
    let rest = text.get(1..)?;
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'#';
    let length = rest.iter().take(MAX_REFERENCE_BYTES).take_while(|byte| is_part(byte)).count();
    let has_end = rest.get(length) == Some(&b';');
    let reference = &rest[..length];
    let Some(number) = reference.strip_prefix(b"#") else {
        let (_, byte) = NAMES.iter().find(|(name, _)| has_end && *name == reference)?;
        return Some((Unit::byte(*byte), length + 2));
    };
    let (digits, radix) = match number.strip_prefix(b"x").or_else(|| number.strip_prefix(b"X")) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let count = digits.iter().take_while(|digit| char::from(**digit).is_digit(radix)).count();
    let code = u32::from_str_radix(std::str::from_utf8(&digits[..count]).ok()?, radix).ok()?;
    let end = 1 + length - (digits.len() - count);
    Some((Unit::character(code)?, if text.get(end) == Some(&b';') { end + 1 } else { end }))
}
