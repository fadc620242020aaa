//! `deep`: loom models of what crosses threads, the tests of the lower floors under sanitizers, and thousands of child processes. Not part
//! of `ci`: it takes minutes.
//!
//! Sanitizers need a nightly toolchain, and ThreadSanitizer needs the sources of std beside it: it must see the synchronisation inside
//! std's locks and channels, or it would report what they order, so std is built with it. AddressSanitizer takes std as it comes. What the
//! project's own atomics promise is checked by loom, too.
//!
//! Counts the tests that ran; a command that ran none has failed.

use crate::Error;
use crate::ci;
use crate::metadata::Workspace;
use crate::process;
use crate::report::Report;
use crate::test::count_tests;
use std::path::Path;
use std::process::Command;

/// Crates with loom models: unit tests with `loom` in their path.
const MODELLED: [&str; 5] = ["asyncio-loop", "asyncio-tasks", "asyncio-executor", "asyncio-sync", "asyncio-queue"];

/// Crates whose tests run under sanitizers.
const SANITIZED: [&str; 6] =
    ["asyncio-driver", "asyncio-loop", "asyncio-tasks", "asyncio-sync", "asyncio-executor", "asyncio-queue"];

/// Tests that no sanitizer can bear, by a part of their name, each with the reason.
const SKIPPED: [(&str, &str); 3] = [
    ("alloc", "they count allocations, and the sanitizer's allocator makes its own"),
    ("reaches_the_kernel", "it counts system calls, and the sanitizer's thread makes its own"),
    ("fork", "a forked child has none of the sanitizer's threads"),
];

/// The same for ThreadSanitizer alone.
const SKIPPED_BY_TSAN: [(&str, &str); 1] =
    [("interrupts::", "a signal to the process is held back for as long as the thread that gets it sleeps in a futex")];

/// Runs one of the checks; `false` if it failed.
pub(crate) fn run(workspace: &Workspace, what: &str) -> Result<bool, Error> {
    match what {
        "loom" => ci::run_one("loom", workspace, loom),
        "asan" => ci::run_one("asan", workspace, asan),
        "tsan" => ci::run_one("tsan", workspace, tsan),
        "children" => ci::run_one("children", workspace, children),
        _ => Err(format!("no such check: {what} (loom, asan, tsan and children are)").into()),
    }
}

/// Runs all of them; `false` if one failed.
pub(crate) fn run_all(workspace: &Workspace) -> Result<bool, Error> {
    let mut all_passed = true;
    for what in ["loom", "asan", "tsan", "children"] {
        all_passed &= run(workspace, what)?;
    }
    Ok(all_passed)
}

fn loom(workspace: &Workspace) -> Result<Report, Error> {
    let mut report = Report::default();
    for name in MODELLED {
        let mut command = workspace.cargo();
        command.args(["test", "--release", "--lib", "--package", name, "loom"]);
        // `loom` is what crates outside of the project call it.
        command
            .env("RUSTFLAGS", "--cfg asyncio_loom --cfg loom")
            .env("CARGO_TARGET_DIR", workspace.target().join("loom"));
        report.merge(count_tests(&mut command)?);
    }
    Ok(report)
}

/// As many child processes as nobody wants to wait for in each run.
fn children(workspace: &Workspace) -> Result<Report, Error> {
    let mut command = workspace.cargo();
    command.args(["test", "--release", "--package", "asyncio-subprocess", "--test", "reaping", "loops_in_any_thread"]);
    count_tests(command.env("ASYNCIO_DEEP_CHILDREN", "5000"))
}

fn asan(workspace: &Workspace) -> Result<Report, Error> {
    sanitized(workspace, "address", &[], &[])
}

fn tsan(workspace: &Workspace) -> Result<Report, Error> {
    if !nightly_has_std_sources(workspace) {
        let mut report = Report::default();
        report.fail("needs the sources of std: `rustup toolchain install nightly --component rust-src`");
        return Ok(report);
    }
    sanitized(workspace, "thread", &["-Zbuild-std"], &SKIPPED_BY_TSAN)
}

fn sanitized(workspace: &Workspace, name: &str, options: &[&str], skipped: &[(&str, &str)]) -> Result<Report, Error> {
    let mut report = Report::default();
    let Some(host) = nightly_host(workspace) else {
        report.fail("needs a nightly toolchain: `rustup toolchain install nightly`");
        return Ok(report);
    };
    for package in SANITIZED {
        let mut command = nightly(workspace, "cargo");
        // The target is named so that build scripts and macros are not instrumented.
        command
            .args(["test", "--no-fail-fast", "--tests", "--package", package, "--target", &host])
            .args(options)
            .arg("--");
        for (test, _) in SKIPPED.iter().chain(skipped) {
            command.args(["--skip", test]);
        }
        let leaks = workspace.root().join("xtask").join("lsan.supp");
        command
            .env("RUSTFLAGS", format!("-Zsanitizer={name}"))
            .env("CARGO_TARGET_DIR", workspace.target().join(format!("sanitizer-{name}")))
            .env("LSAN_OPTIONS", format!("suppressions={}", leaks.display()))
            // Models that take seconds take minutes here.
            .env("PROPTEST_CASES", "32");
        report.merge(count_tests(&mut command)?);
    }
    Ok(report)
}

/// A program of the nightly toolchain.
fn nightly(workspace: &Workspace, program: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", program]).current_dir(workspace.root());
    // What the running toolchain has set for its own programs.
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command
}

/// The platform of the nightly toolchain, if there is one.
fn nightly_host(workspace: &Workspace) -> Option<String> {
    ask_nightly(workspace, &["-vV"])?.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

/// Whether the sources of std are there, to be built anew.
fn nightly_has_std_sources(workspace: &Workspace) -> bool {
    let sysroot = ask_nightly(workspace, &["--print", "sysroot"]);
    sysroot.is_some_and(|sysroot| Path::new(sysroot.trim_end()).join("lib/rustlib/src/rust/library/std").is_dir())
}

/// What the nightly compiler prints; nothing if there is none.
fn ask_nightly(workspace: &Workspace, arguments: &[&str]) -> Option<String> {
    let mut lines = String::new();
    let succeeded = process::lines(nightly(workspace, "rustc").args(arguments), |line| {
        lines.push_str(line);
        lines.push('\n');
    });
    matches!(succeeded, Ok(true)).then_some(lines)
}
