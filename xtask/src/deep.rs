//! `deep`: loom models of what crosses threads, and the tests of the lower floors under sanitizers. Not part of `ci`: it takes minutes.
//!
//! Sanitizers need a nightly toolchain. std itself is not instrumented, for that would take its sources: AddressSanitizer does not need
//! it; ThreadSanitizer may report std's own synchronisation, which `tsan.supp` beside this crate's manifest keeps quiet. What the project's own
//! atomics promise is checked by loom.
//!
//! Counts the tests that ran; a command that ran none has failed.

use crate::Error;
use crate::ci;
use crate::metadata::Workspace;
use crate::process;
use crate::report::Report;
use crate::test::count_tests;
use std::process::Command;

/// Crates with loom models: unit tests with `loom` in their path.
const MODELLED: [&str; 5] = ["asyncio-loop", "asyncio-tasks", "asyncio-executor", "asyncio-sync", "asyncio-queue"];

/// Crates whose tests run under sanitizers.
const SANITIZED: [&str; 5] = ["asyncio-driver", "asyncio-loop", "asyncio-tasks", "asyncio-sync", "asyncio-queue"];

/// Tests that a sanitizer cannot bear, each with the reason.
const SKIPPED: [(&str, &str); 2] = [
    ("alloc", "they count allocations, and the sanitizer's allocator makes its own"),
    ("fork", "a forked child has none of the sanitizer's threads"),
];

/// Runs one of the checks; `false` if it failed.
pub(crate) fn run(workspace: &Workspace, what: &str) -> Result<bool, Error> {
    match what {
        "loom" => ci::run_one("loom", workspace, loom),
        "asan" => ci::run_one("asan", workspace, asan),
        "tsan" => ci::run_one("tsan", workspace, tsan),
        _ => Err(format!("no such check: {what} (loom, asan and tsan are)").into()),
    }
}

/// Runs all of them; `false` if one failed.
pub(crate) fn run_all(workspace: &Workspace) -> Result<bool, Error> {
    let mut all_passed = true;
    for what in ["loom", "asan", "tsan"] {
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

fn asan(workspace: &Workspace) -> Result<Report, Error> {
    sanitized(workspace, "address", "-Zsanitizer=address")
}

fn tsan(workspace: &Workspace) -> Result<Report, Error> {
    // Std is not built with the sanitizer, which the compiler would refuse to link with.
    sanitized(workspace, "thread", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer")
}

fn sanitized(workspace: &Workspace, name: &str, flags: &str) -> Result<Report, Error> {
    let mut report = Report::default();
    let Some(host) = nightly_host(workspace)? else {
        report.fail("needs a nightly toolchain: `rustup toolchain install nightly`");
        return Ok(report);
    };
    for package in SANITIZED {
        let mut command = nightly(workspace, "cargo");
        // The target is named so that build scripts and macros are not instrumented.
        command.args(["test", "--no-fail-fast", "--tests", "--package", package, "--target", &host, "--"]);
        for (test, _) in SKIPPED {
            command.args(["--skip", test]);
        }
        let suppressed = |name: &str| format!("suppressions={}", workspace.root().join("xtask").join(name).display());
        command
            .env("RUSTFLAGS", flags)
            .env("CARGO_TARGET_DIR", workspace.target().join(format!("sanitizer-{name}")))
            .env("LSAN_OPTIONS", suppressed("lsan.supp"))
            .env("TSAN_OPTIONS", suppressed("tsan.supp"))
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
fn nightly_host(workspace: &Workspace) -> Result<Option<String>, Error> {
    let mut command = nightly(workspace, "rustc");
    let mut host = None;
    let succeeded = process::lines(command.arg("-vV"), |line| {
        host = line.strip_prefix("host: ").map(str::to_owned).or(host.take());
    });
    Ok(host.filter(|_| matches!(succeeded, Ok(true))))
}
