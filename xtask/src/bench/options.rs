//! The command line of `bench`.

use std::path::{Path, PathBuf};

/// The peers, as the folders of `benches/peers` are called. `raw` is the limit, not a competitor.
pub(super) const PEERS: [&str; 6] = ["raw", "tokio", "smol", "monoio", "compio", "glommio"];

/// What the command line asks for.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) is_built: bool,
    pub(super) is_build_only: bool,
    pub(super) out: PathBuf,
    /// Empty: all.
    only: Vec<String>,
    /// `None`: not said.
    peers: Option<Vec<String>>,
    pub(super) rounds: usize,
    pub(super) scale: f64,
}

impl Options {
    /// Reads the command line; says what is wrong with it.
    pub(super) fn parse(args: &[&str], default_out: &Path) -> Result<Self, String> {
        let mut options = Self {
            is_built: true,
            is_build_only: false,
            out: default_out.to_owned(),
            only: Vec::new(),
            peers: None,
            rounds: 5,
            scale: 1.0,
        };
        let mut args = args.iter();
        while let Some(&name) = args.next() {
            match name {
                "--build-only" => options.is_build_only = true,
                "--no-build" => options.is_built = false,
                _ => {
                    let value = args.next().ok_or_else(|| format!("`{name}` is unknown, or needs a value"))?;
                    options.set(name, value).ok_or_else(|| format!("`{name} {value}` makes no sense"))?;
                }
            }
        }
        let known = super::workload::all();
        match options.only.iter().find(|name| known.iter().all(|known| known.name != **name)) {
            Some(name) => Err(format!("there is no workload `{name}`")),
            None => Ok(options),
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "--out" => self.out = value.into(),
            "--only" => self.only = list(value),
            "--peers" if value == "none" => self.peers = Some(Vec::new()),
            "--peers" => {
                let peers = list(value);
                peers.iter().all(|peer| PEERS.contains(&peer.as_str())).then_some(())?;
                self.peers = Some(peers);
            }
            "--rounds" => self.rounds = value.parse().ok().filter(|rounds| *rounds > 0)?,
            "--scale" => self.scale = value.parse().ok().filter(|scale: &f64| *scale > 0.0 && scale.is_finite())?,
            _ => return None,
        }
        Some(())
    }

    /// Whether the workload of this name is to be measured.
    pub(super) fn wants(&self, workload: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == workload)
    }

    /// The peers to build and measure. A mere build is of our own programs, unless peers were asked for.
    pub(super) fn peers(&self) -> Vec<&str> {
        match &self.peers {
            Some(peers) => peers.iter().map(String::as_str).collect(),
            None if self.is_build_only => Vec::new(),
            None => PEERS.to_vec(),
        }
    }
}

fn list(value: &str) -> Vec<String> {
    value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, String> {
        Options::parse(args, Path::new("bench"))
    }

    #[test]
    fn everything_is_measured_unless_said_otherwise() {
        let options = parse(&[]).expect("nothing is required");
        assert!(options.is_built && !options.is_build_only && options.wants("queue"));
        assert_eq!((options.rounds, options.peers().len()), (5, PEERS.len()));
        assert_eq!(options.out, Path::new("bench"));
    }

    #[test]
    fn lists_narrow_what_is_measured() {
        let options =
            parse(&["--only", "queue,callsoon", "--peers", "tokio,raw", "--rounds", "3"]).expect("it is sound");
        assert!(options.wants("queue") && options.wants("callsoon") && !options.wants("mem_task"));
        assert_eq!((options.rounds, options.peers()), (3, vec!["tokio", "raw"]));
        assert!(parse(&["--peers", "none"]).expect("it is sound").peers().is_empty());
    }

    #[test]
    fn a_mere_build_is_of_our_programs() {
        let options = parse(&["--build-only", "--out", "x"]).expect("it is sound");
        assert!(options.is_build_only && options.peers().is_empty());
        assert_eq!(options.out, Path::new("x"));
    }

    #[test]
    fn nonsense_is_refused() {
        for args in [&["--only", "nothing"][..], &["--rounds", "0"], &["--scale", "inf"], &["--peers", "x"], &["--out"]]
        {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
