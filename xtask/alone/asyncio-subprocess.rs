//! Uses asyncio-subprocess and nothing else: what a child is started with can be said without a loop, and shown.

use asyncio_subprocess::{DEVNULL, PIPE, STDOUT, create_subprocess_exec, run_process};

fn main() {
    let start = create_subprocess_exec("cat", ["-n"]).stdin(PIPE).stdout(PIPE).stderr(STDOUT).cwd("/").umask(0o77);
    let shown = format!("{start:?}");
    assert!(shown.contains("cat") && shown.contains("STDOUT"), "{shown}");
    drop(run_process("true", [] as [&str; 0]).stdout(DEVNULL).check(false));
    println!("{shown}");
}
