//! From the tokens of an attribute and its function to the plain function, or to an error at the right place.

use crate::options::{Allowed, Options};
use crate::piece::Piece;
use crate::shape::Shape;
use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// What a macro has to say to the one who uses it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Which token it is about; the whole attribute if there is none.
    pub(crate) at: Option<usize>,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(at: impl Into<Option<usize>>, message: impl Into<String>) -> Self {
        Self { at: at.into(), message: message.into() }
    }
}

pub(crate) fn expand(options: TokenStream, item: TokenStream, allowed: Allowed) -> TokenStream {
    let (options, item): (Vec<_>, Vec<_>) = (options.into_iter().collect(), item.into_iter().collect());
    let shape = match Shape::read(&pieces(&item), allowed) {
        Ok(shape) => shape,
        Err(fault) => return fault_and_stub(&fault, &item),
    };
    match Options::read(&pieces(&options), allowed) {
        Ok(read) => function(&item, &shape, &read, &options, allowed),
        Err(fault) => {
            // With the plain function beside it, so that this is the only error.
            let mut tokens = function(&item, &shape, &Options::default(), &[], allowed);
            tokens.extend(compile_error(&fault, &options));
            tokens
        }
    }
}

/// The plain function: what stands before `async`, the signature, and the `async fn` itself inside.
fn function(item: &[TokenTree], shape: &Shape, read: &Options, options: &[TokenTree], allowed: Allowed) -> TokenStream {
    let name = item[shape.name].to_string();
    let runs = read.expression(&name, |range| options[range].iter().cloned().collect::<TokenStream>().to_string());
    let mut body: TokenStream = item[shape.is_async..].iter().cloned().collect();
    body.extend(source(&runs));
    let mut tokens = TokenStream::new();
    if matches!(allowed, Allowed::Test) {
        tokens.extend(source("#[::core::prelude::v1::test]"));
    }
    tokens.extend(item[..shape.is_async].iter().cloned());
    tokens.extend(item[shape.is_async + 1..shape.body].iter().cloned());
    tokens.extend([TokenTree::from(Group::new(Delimiter::Brace, body))]);
    tokens
}

/// Our own text as tokens.
fn source(text: &str) -> TokenStream {
    text.parse().expect("what the macro itself has written is Rust")
}

fn pieces(tokens: &[TokenTree]) -> Vec<Piece> {
    tokens.iter().map(Piece::of).collect()
}

/// The fault, and an empty function of the same name: a program without `main` would be a second error.
fn fault_and_stub(fault: &Fault, item: &[TokenTree]) -> TokenStream {
    let mut tokens = compile_error(fault, item);
    let mut words = item.iter().skip_while(|token| token.to_string() != "fn");
    if let (Some(keyword), Some(TokenTree::Ident(name))) = (words.next(), words.next()) {
        tokens.extend([keyword.clone(), name.clone().into()]);
        tokens.extend(source("() {}"));
    }
    tokens
}

/// `::core::compile_error! { "…" }`, at the token that is meant.
fn compile_error(fault: &Fault, tokens: &[TokenTree]) -> TokenStream {
    let span = fault.at.and_then(|at| tokens.get(at)).map_or_else(Span::call_site, TokenTree::span);
    let mut message = TokenTree::from(Literal::string(&fault.message));
    message.set_span(span);
    let mut argument = Group::new(Delimiter::Brace, message.into());
    argument.set_span(span);
    let colon = |spacing| {
        let mut colon = Punct::new(':', spacing);
        colon.set_span(span);
        TokenTree::from(colon)
    };
    let mut bang = Punct::new('!', Spacing::Alone);
    bang.set_span(span);
    [
        colon(Spacing::Joint),
        colon(Spacing::Alone),
        Ident::new("core", span).into(),
        colon(Spacing::Joint),
        colon(Spacing::Alone),
        Ident::new("compile_error", span).into(),
        bang.into(),
        argument.into(),
    ]
    .into_iter()
    .collect()
}
