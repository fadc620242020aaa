//! What stands in the parentheses of the attributes.

use crate::expand::Fault;
use crate::piece::Piece;
use std::ops::Range;

/// Which of the two attributes it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Allowed {
    Main,
    Test,
}

impl Allowed {
    pub(crate) const fn attribute(self) -> &'static str {
        match self {
            Self::Main => "#[asyncio::main]",
            Self::Test => "#[asyncio::test]",
        }
    }

    const fn options(self) -> &'static str {
        match self {
            Self::Main => "`debug = true` and `loop_factory = path`",
            Self::Test => "`virtual_time`, `debug = true` and `loop_factory = path`",
        }
    }
}

/// The options that were given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    debug: Option<bool>,
    /// The tokens of the path.
    loop_factory: Option<Range<usize>>,
    virtual_time: bool,
}

impl Options {
    pub(crate) fn read(tokens: &[Piece], allowed: Allowed) -> Result<Self, Fault> {
        let mut options = Self::default();
        let mut start = 0;
        while start < tokens.len() {
            let comma = tokens[start..].iter().position(|piece| *piece == Piece::Mark(','));
            let end = comma.map_or(tokens.len(), |comma| start + comma);
            options.read_one(tokens, start..end, allowed)?;
            start = end + 1;
        }
        Ok(options)
    }

    fn read_one(&mut self, tokens: &[Piece], range: Range<usize>, allowed: Allowed) -> Result<(), Fault> {
        let at = range.start;
        let value = at + 2..range.end.max(at + 2);
        let has_value = tokens.get(at + 1) == Some(&Piece::Mark('=')) && !value.is_empty();
        let name = match tokens.get(at) {
            Some(Piece::Word(name)) if !range.is_empty() => name.as_str(),
            _ => "",
        };
        let is_new = match (name, allowed) {
            ("debug", _) => {
                let debug = match tokens.get(value.clone()) {
                    Some([Piece::Word(word)]) if has_value && word == "true" => true,
                    Some([Piece::Word(word)]) if has_value && word == "false" => false,
                    _ => return Err(Fault::new(at, "write `debug = true` or `debug = false`")),
                };
                self.debug.replace(debug).is_none()
            }
            ("loop_factory", _) if has_value => self.loop_factory.replace(value).is_none(),
            ("loop_factory", _) => {
                return Err(Fault::new(at, "write `loop_factory = path`, of a `fn() -> io::Result<EventLoop>`"));
            }
            ("virtual_time", Allowed::Test) if range.len() == 1 => !std::mem::replace(&mut self.virtual_time, true),
            ("virtual_time", Allowed::Test) => return Err(Fault::new(at, "`virtual_time` takes no value")),
            _ => {
                let message = format!("no such option: {} takes {}", allowed.attribute(), allowed.options());
                return Err(Fault::new(at, message));
            }
        };
        if !is_new {
            return Err(Fault::new(at, format!("`{name}` is given twice")));
        }
        if self.virtual_time && self.loop_factory.is_some() {
            return Err(Fault::new(
                at,
                "`virtual_time` chooses the loop, and so does `loop_factory`: take one of them",
            ));
        }
        Ok(())
    }

    /// The expression that runs the coroutine of the function `name`; `text` gives the text of some of the options' tokens.
    pub(crate) fn expression(&self, name: &str, text: impl Fn(Range<usize>) -> String) -> String {
        if *self == Self::default() {
            return format!("::asyncio::run({name}())");
        }
        let mut builder = String::from("::asyncio::Runner::builder()");
        if let Some(debug) = self.debug {
            builder += &format!(".debug({debug})");
        }
        if let Some(path) = &self.loop_factory {
            builder += &format!(".loop_factory({})", text(path.clone()));
        }
        if self.virtual_time {
            builder += ".loop_builder(::asyncio::EventLoop::builder().driver(::std::boxed::Box::new(\
                        ::asyncio_testing::ScriptedDriver::new(&::asyncio_testing::VirtualClock::new()))))";
        }
        format!("{builder}.run({name}())")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::pieces;

    fn fault(options: &str) -> (Option<usize>, String) {
        let fault = Options::read(&pieces(options), Allowed::Test).unwrap_err();
        (fault.at, fault.message)
    }

    fn expression(options: &str) -> String {
        let tokens = pieces(options);
        let options = Options::read(&tokens, Allowed::Test).expect("options without a fault");
        options.expression("it", |range| format!("{}..{}", range.start, range.end))
    }

    #[test]
    fn without_options_it_is_run() {
        assert_eq!(expression(""), "::asyncio::run(it())");
    }

    #[test]
    fn options_are_methods_of_the_builder() {
        assert_eq!(
            expression("debug = true , loop_factory = a : : b ,"),
            "::asyncio::Runner::builder().debug(true).loop_factory(6..10).run(it())"
        );
        assert!(expression("virtual_time").contains("ScriptedDriver"));
    }

    #[test]
    fn faults_name_the_option() {
        assert_eq!(fault("debug = true , threads = 4").0, Some(4));
        assert!(fault("threads = 4").1.contains("takes `virtual_time`, `debug = true`"));
        assert!(fault("debug").1.contains("write `debug = true`"));
        assert!(fault("debug = maybe").1.contains("write `debug = true`"));
        assert!(fault("loop_factory").1.contains("loop_factory = path"));
        assert!(fault("virtual_time = true").1.contains("no value"));
        assert!(fault("debug = true , debug = true").1.contains("twice"));
        assert!(fault("virtual_time , loop_factory = f").1.contains("take one"));
        let main = Options::read(&pieces("virtual_time"), Allowed::Main).unwrap_err();
        assert!(main.message.contains("no such option"));
    }
}
