//! Rust source, line by line, with code and comments told apart.
//!
//! Not a parser: strings lose their contents, comments go to a column of their own, and what is left can be searched for
//! words without being fooled by either.

/// A source file.
#[derive(Debug)]
pub(crate) struct Source {
    lines: Vec<Line>,
}

/// One line of it.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// The code, with empty strings and without comments.
    pub(crate) code: String,
    /// The comments, with their slashes.
    pub(crate) comment: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Code,
    LineComment,
    /// How deep in nested comments.
    BlockComment(usize),
    String,
    /// With how many hashes it ends.
    RawString(usize),
}

impl Source {
    /// Takes a file apart.
    pub(crate) fn new(text: &str) -> Self {
        let mut lines = Vec::new();
        let mut state = State::Code;
        for text in text.lines() {
            let mut line = Line::default();
            if state == State::LineComment {
                state = State::Code;
            }
            let mut rest = text;
            while !rest.is_empty() {
                let (length, next) = step(rest, state, &mut line);
                rest = &rest[length..];
                state = next;
            }
            lines.push(line);
        }
        Self { lines }
    }

    /// The lines, from the first.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The line numbers (from 1) where `word` stands in the code as a word of its own.
    pub(crate) fn find_word<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let numbered = self.lines.iter().enumerate();
        numbered.filter(move |(_, line)| words(&line.code).any(|found| found == word)).map(|(index, _)| index + 1)
    }

    /// The doc comment and attributes right above the line with this number.
    pub(crate) fn docs_above(&self, number: usize) -> String {
        let above = self.lines[..number - 1].iter().rev();
        let belongs = |line: &&Line| {
            let code = line.code.trim();
            line.comment.trim_start().starts_with("///") || code.starts_with('#') || code.ends_with(")]")
        };
        let mut docs: Vec<&str> = above.take_while(belongs).map(|line| line.comment.as_str()).collect();
        docs.reverse();
        docs.join("\n")
    }

    /// The comments inside and right above the statement that the line with this number belongs to.
    pub(crate) fn comments_at(&self, number: usize) -> String {
        let mut comments = vec![self.lines[number - 1].comment.as_str()];
        for line in self.lines[..number - 1].iter().rev() {
            if line.code.trim().ends_with([';', '{', '}', ',']) {
                break;
            }
            if line.code.trim().is_empty() && line.comment.is_empty() {
                break;
            }
            comments.push(&line.comment);
        }
        comments.reverse();
        comments.join("\n")
    }
}

/// The identifiers and keywords of some code.
pub(crate) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Takes the next piece off `rest`: its length, and the state after it.
fn step(rest: &str, state: State, line: &mut Line) -> (usize, State) {
    let first = rest.chars().next().map_or(1, char::len_utf8);
    match state {
        State::Code => code_step(rest, first, line),
        State::LineComment => {
            line.comment.push_str(rest);
            (rest.len(), State::LineComment)
        }
        State::BlockComment(depth) => {
            let (length, next) = match rest {
                _ if rest.starts_with("*/") && depth == 1 => (2, State::Code),
                _ if rest.starts_with("*/") => (2, State::BlockComment(depth - 1)),
                _ if rest.starts_with("/*") => (2, State::BlockComment(depth + 1)),
                _ => (first, state),
            };
            line.comment.push_str(&rest[..length]);
            (length, next)
        }
        State::String => match rest {
            _ if rest.starts_with('\\') => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), state),
            _ if rest.starts_with('"') => {
                line.code.push('"');
                (1, State::Code)
            }
            _ => (first, state),
        },
        State::RawString(hashes) => {
            let is_end = rest.strip_prefix('"').is_some_and(|rest| rest.starts_with(&"#".repeat(hashes)));
            if is_end {
                line.code.push('"');
                (1 + hashes, State::Code)
            } else {
                (first, state)
            }
        }
    }
}

fn code_step(rest: &str, first: usize, line: &mut Line) -> (usize, State) {
    if rest.starts_with("//") {
        return (0, State::LineComment);
    }
    if rest.starts_with("/*") {
        line.comment.push_str("/*");
        return (2, State::BlockComment(1));
    }
    if rest.starts_with('"') {
        line.code.push('"');
        return (1, State::String);
    }
    let within_word = line.code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    if let Some((length, hashes)) = raw_string_start(rest).filter(|_| !within_word) {
        line.code.push('"');
        return (length, State::RawString(hashes));
    }
    if let Some(length) = char_literal(rest) {
        line.code.push_str("' '");
        return (length, State::Code);
    }
    line.code.push_str(&rest[..first]);
    (first, State::Code)
}

/// The length of `r#"`, `br"`, … at the start, and how many hashes it has.
fn raw_string_start(rest: &str) -> Option<(usize, usize)> {
    let prefix = ["br", "cr", "r"].into_iter().find(|prefix| rest.starts_with(prefix))?;
    let after = &rest[prefix.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some((prefix.len() + hashes + 1, hashes))
}

/// The length of a character literal at the start; a lifetime is none.
fn char_literal(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if let Some(escaped) = inside.strip_prefix('\\') {
        let mut chars = escaped.char_indices().skip(1);
        return chars.find(|(_, c)| *c == '\'').map(|(index, _)| 2 + index + 1);
    }
    let mut chars = inside.char_indices();
    chars.next()?;
    chars.next().filter(|(_, c)| *c == '\'').map(|(index, _)| 1 + index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        Source::new(text).lines().iter().map(|line| line.code.clone()).collect()
    }

    #[test]
    fn strings_and_comments_are_not_code() {
        assert_eq!(code("let a = \"unsafe \\\" {\"; // unsafe"), ["let a = \"\"; "]);
        assert_eq!(code("let a = r#\"un\"safe\"#; b"), ["let a = \"\"; b"]);
        assert_eq!(code("a /* un /* safe */\nstill */ b"), ["a ", " b"]);
        assert_eq!(code("let a = \"one\nunsafe\"; b"), ["let a = \"", "\"; b"]);
    }

    #[test]
    fn quotes_in_character_literals_open_nothing() {
        assert_eq!(code("f('\"', '\\'', '\\u{7f}', 'ä') // x"), ["f(' ', ' ', ' ', ' ') "]);
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), ["fn f<'a>(x: &'a str) {}"]);
    }

    #[test]
    fn words_are_whole_words() {
        let source = Source::new("#![deny(unsafe_code)]\nunsafe { f() }\n// unsafe\n");
        assert_eq!(source.find_word("unsafe").collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_statement_has_the_comment_above_it() {
        let source = Source::new("g();\n// SAFETY: invariant 1.\nlet x =\n    unsafe { f() };\nunsafe { h() };\n");
        assert!(source.comments_at(4).contains("SAFETY:"));
        assert!(!source.comments_at(5).contains("SAFETY:"));
    }

    #[test]
    fn docs_stand_above_attributes() {
        let source = Source::new("/// Waits.\n#[must_use]\npub async fn wait() {}\n");
        assert!(source.docs_above(3).contains("Waits."));
    }
}
