//! The programs that were built, and the ways to run them.

use super::options::Options;
use super::workload::{Kind, Load, Workload};
use crate::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Who wrote a program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Side {
    Ours,
    Peer,
    /// By hand, without a runtime: the limit.
    Raw,
}

/// Something that can be measured.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    side: Side,
    taskbench: Option<PathBuf>,
    echo_server: Option<PathBuf>,
    generator: PathBuf,
}

/// A program with its mode: one column of a table.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) label: String,
    pub(super) side: Side,
    pub(super) executable: PathBuf,
    /// Of an echo server.
    pub(super) mode: &'static str,
    pub(super) generator: PathBuf,
}

/// Everything in the folder that the options name.
pub(super) fn find(options: &Options) -> Result<Vec<Program>, Error> {
    let peers = options.out.join("peers");
    let generator = peers.join("gen");
    let mut programs = vec![Program {
        name: "ours".to_owned(),
        side: Side::Ours,
        taskbench: existing(options.out.join("taskbench")),
        echo_server: existing(options.out.join("echo_server")),
        generator: generator.clone(),
    }];
    for name in peer_programs(&peers, &options.peers())? {
        programs.push(Program {
            side: if name == "raw" { Side::Raw } else { Side::Peer },
            taskbench: existing(peers.join(format!("taskbench-{name}"))),
            echo_server: existing(peers.join(format!("echo_server-{name}"))),
            generator: generator.clone(),
            name,
        });
    }
    Ok(programs)
}

/// What stands behind the dash in `taskbench-tokio`, for the peers that are wanted and their variants (`tokio_local`).
fn peer_programs(folder: &Path, peers: &[&str]) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let file = entry?.file_name();
        let name = file.to_str().and_then(|file| file.strip_prefix("taskbench-"));
        let is_wanted = |name: &&str| peers.contains(&name.split('_').next().unwrap_or(name));
        found.extend(name.filter(is_wanted).map(str::to_owned));
    }
    found.sort();
    Ok(found)
}

fn existing(path: PathBuf) -> Option<PathBuf> {
    path.exists().then_some(path)
}

impl Program {
    /// How to run this program for a workload: not at all, or in each of its modes.
    pub(super) fn ways(&self, workload: &Workload) -> Vec<Way> {
        let Kind::Echo { load, .. } = workload.kind else {
            return self.taskbench.iter().map(|executable| self.way(executable, "", &self.name)).collect();
        };
        let modes: &[&str] = match (self.side, load) {
            (Side::Ours, _) => &["protocol", "streams", "sockets"],
            // `streams` is a buffered writer there, which matters for frames only.
            (Side::Peer, Load::Frames) if ["smol", "tokio"].contains(&self.name.as_str()) => &["streams", "sockets"],
            _ => &["sockets"],
        };
        let ways = self.echo_server.iter().flat_map(|executable| {
            modes.iter().map(move |mode| {
                let label = if modes.len() == 1 { self.name.clone() } else { format!("{} {mode}", self.name) };
                self.way(executable, mode, &label)
            })
        });
        ways.collect()
    }

    fn way(&self, executable: &Path, mode: &'static str, label: &str) -> Way {
        Way {
            label: label.to_owned(),
            side: self.side,
            executable: executable.to_owned(),
            mode,
            generator: self.generator.clone(),
        }
    }
}
