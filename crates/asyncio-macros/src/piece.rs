//! `Piece`: a token as far as the macros look at it. Plain data, so that the readers can be tested without a compiler.

use proc_macro::{Delimiter, TokenTree};

/// One token tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Word(String),
    Mark(char),
    Literal,
    /// `(…)`; whether there is anything in it.
    Parentheses {
        is_empty: bool,
    },
    /// `[…]`, and what it begins with.
    Brackets(String),
    Braces,
    /// A group that only the compiler sees.
    Other,
}

impl Piece {
    pub(crate) fn of(token: &TokenTree) -> Self {
        match token {
            TokenTree::Ident(word) => Self::Word(word.to_string()),
            TokenTree::Punct(mark) => Self::Mark(mark.as_char()),
            TokenTree::Literal(_) => Self::Literal,
            TokenTree::Group(group) => match group.delimiter() {
                Delimiter::Parenthesis => Self::Parentheses { is_empty: group.stream().is_empty() },
                Delimiter::Bracket => Self::Brackets(group.stream().to_string()),
                Delimiter::Brace => Self::Braces,
                Delimiter::None => Self::Other,
            },
        }
    }

    pub(crate) fn is_word(&self, text: &str) -> bool {
        matches!(self, Self::Word(word) if word == text)
    }
}

/// For tests: pieces from words that are separated by blanks.
#[cfg(test)]
pub(crate) fn pieces(text: &str) -> Vec<Piece> {
    let piece = |part: &str| match part {
        "()" => Piece::Parentheses { is_empty: true },
        "(..)" => Piece::Parentheses { is_empty: false },
        "{}" => Piece::Braces,
        part if part.starts_with('[') => Piece::Brackets(part.trim_matches(['[', ']']).to_owned()),
        part if part.starts_with('"') || part.starts_with(|c: char| c.is_ascii_digit()) => Piece::Literal,
        part if part.len() == 1 && !part.starts_with(char::is_alphabetic) => {
            Piece::Mark(part.chars().next().unwrap_or_default())
        }
        part => Piece::Word(part.to_owned()),
    };
    text.split_whitespace().map(piece).collect()
}
