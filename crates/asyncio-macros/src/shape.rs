//! Where the parts of an `async fn` are.

use crate::expand::Fault;
use crate::options::Allowed;
use crate::piece::Piece;

/// Indices of an item's tokens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The word `async`; what stands before it are attributes and the visibility.
    pub(crate) is_async: usize,
    pub(crate) name: usize,
    pub(crate) body: usize,
}

impl Shape {
    pub(crate) fn read(item: &[Piece], allowed: Allowed) -> Result<Self, Fault> {
        let attribute = allowed.attribute();
        let Some(keyword) = item.iter().position(|piece| piece.is_word("fn")) else {
            return Err(Fault::new(None, format!("{attribute} goes before an `async fn`")));
        };
        let Some(is_async) = item[..keyword].iter().position(|piece| piece.is_word("async")) else {
            let message = format!("{attribute} needs an `async` function: write `async fn`");
            return Err(Fault::new(keyword, message));
        };
        if is_async + 1 != keyword {
            let message = format!("{attribute} goes before a plain `async fn`, neither `unsafe` nor `extern`");
            return Err(Fault::new(is_async + 1, message));
        }
        let is_test = |piece: &Piece| matches!(piece, Piece::Brackets(text) if text == "test");
        if let (Allowed::Test, Some(other)) = (allowed, item[..is_async].iter().position(is_test)) {
            return Err(Fault::new(other, format!("{attribute} makes a test: `#[test]` is one too many")));
        }
        let (name, arguments) = (keyword + 1, keyword + 2);
        match item.get(arguments) {
            Some(Piece::Parentheses { is_empty: true }) => {}
            Some(Piece::Parentheses { is_empty: false }) => {
                return Err(Fault::new(arguments, format!("the function of {attribute} takes no arguments")));
            }
            _ => return Err(Fault::new(arguments, format!("the function of {attribute} cannot be generic"))),
        }
        let body = item.len() - 1;
        if item[body] != Piece::Braces {
            return Err(Fault::new(body, format!("the function of {attribute} needs a body")));
        }
        Ok(Self { is_async, name, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::pieces;

    fn read(item: &str) -> Result<Shape, (Option<usize>, String)> {
        Shape::read(&pieces(item), Allowed::Test).map_err(|fault| (fault.at, fault.message))
    }

    #[test]
    fn attributes_visibility_and_result_may_be_there() {
        let shape = read("# [ignore] pub (..) async fn it () - > Result < T , E > {}");
        assert_eq!(shape, Ok(Shape { is_async: 4, name: 6, body: 16 }));
        assert_eq!(read("async fn it () {}"), Ok(Shape { is_async: 0, name: 2, body: 4 }));
    }

    #[test]
    fn faults_name_the_token_that_is_wrong() {
        let fault = |item| read(item).unwrap_err();
        assert_eq!(fault("pub fn it () {}").0, Some(1));
        assert!(fault("pub fn it () {}").1.contains("needs an `async` function"));
        assert_eq!(fault("async fn it (..) {}").0, Some(3));
        assert!(fault("async fn it (..) {}").1.contains("takes no arguments"));
        assert_eq!(fault("async fn it < T > () {}").0, Some(3));
        assert!(fault("async fn it < T > () {}").1.contains("cannot be generic"));
        assert_eq!(fault("async unsafe fn it () {}").0, Some(1));
        assert_eq!(fault("async fn it () ;").0, Some(4));
        assert_eq!(fault("# [test] async fn it () {}").0, Some(1));
        assert_eq!(fault("struct It ;").0, None);
    }
}
