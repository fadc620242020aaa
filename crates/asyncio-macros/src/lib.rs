#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod expand;
mod options;
mod piece;
mod shape;

use expand::expand;
use options::Allowed;
use proc_macro::TokenStream;

/// Runs an `async fn` in a loop of its own, as [`asyncio::run`](https://docs.rs/asyncio/latest/asyncio/fn.run.html) does.
///
/// Options, separated by commas:
///
/// - `debug = true` or `false` switches the debug mode of the loop;
/// - `loop_factory = path` names a function that makes the loop, `fn() -> io::Result<EventLoop>`.
///
/// # Examples
///
/// ```ignore
/// // (Compiled and run as a test of the facade; this crate does not know it.)
/// #[asyncio::main(debug = true)]
/// async fn main() -> std::io::Result<()> {
///     asyncio::sleep(0.1).await;
///     Ok(())
/// }
/// ```
///
/// What cannot be meant does not compile: a function that is not `async`,
///
/// ```compile_fail
/// #[asyncio_macros::main]
/// fn main() {}
/// ```
///
/// that takes arguments or type parameters,
///
/// ```compile_fail
/// #[asyncio_macros::main]
/// async fn main(arguments: Vec<String>) {}
/// ```
///
/// ```compile_fail
/// #[asyncio_macros::main]
/// async fn main<T>() {}
/// ```
///
/// and an option that does not exist.
///
/// ```compile_fail
/// #[asyncio_macros::main(threads = 4)]
/// async fn main() {}
/// ```
///
/// # asyncio
///
/// `asyncio.run(main(), debug=…, loop_factory=…)` at the end of a program.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, Allowed::Main)
}

/// Makes an `async fn` a test that runs in a loop of its own.
///
/// Options are those of [`macro@main`], and:
///
/// - `virtual_time`: time stands still while anything runs, and jumps to the next deadline when nothing can. So a test that
///   sleeps for a day takes no time, is exact to the nanosecond, and fails if nothing can ever happen any more instead of hanging.
///   Sockets are then those of a made-up world. It needs `asyncio-testing` among the dev-dependencies.
///
/// Other attributes of tests (`#[ignore]`, `#[should_panic]`) go beside it.
///
/// # Examples
///
/// ```ignore
/// // (Compiled and run as a test of the facade; this crate does not know it.)
/// #[asyncio::test(virtual_time)]
/// async fn a_day_passes() {
///     asyncio::sleep(86_400).await;
/// }
/// ```
///
/// # asyncio
///
/// `unittest.IsolatedAsyncioTestCase`. Differs: a function, not a class; virtual time.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, Allowed::Test)
}
