//! `layers`: every dependency that a manifest declares, against `layers.toml`; and the picture in ARCHITECTURE.md.
//!
//! What is declared counts, not what this machine resolves: an optional dependency and one for another operating system
//! are edges like any other. Counts the edges, and the floors of the picture.

use crate::Error;
use crate::metadata::Workspace;
use crate::report::Report;
use cargo_metadata::{Dependency, DependencyKind, Metadata, Package};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// `layers.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Layers {
    /// The tower, lowest floor first.
    layers: Vec<Vec<String>>,
    /// For tests and examples only.
    beside: Vec<String>,
    /// Not published; nothing may depend on them.
    #[serde(default)]
    programs: Vec<String>,
    /// External crates that any member may use in its tests, examples and benchmarks.
    #[serde(default)]
    external_dev: Vec<String>,
    /// External crates that each member may use.
    external: BTreeMap<String, Vec<String>>,
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Floor(usize),
    Beside,
    Program,
}

pub(crate) fn run(workspace: &Workspace) -> Result<Report, Error> {
    let layers: Layers = toml::from_str(&workspace.read("layers.toml")?)?;
    let mut report = layers.check(workspace.metadata());
    report.merge(layers.check_picture(&workspace.read("ARCHITECTURE.md")?));
    Ok(report)
}

/// The tower as a Graphviz graph: solid edges are normal dependencies, dotted ones are for tests.
pub(crate) fn dot(workspace: &Workspace) -> Result<String, Error> {
    let layers: Layers = toml::from_str(&workspace.read("layers.toml")?)?;
    let mut dot = String::from("digraph tower {\n  rankdir = BT;\n  node [shape = box];\n");
    for floor in &layers.layers {
        writeln!(dot, "  {{ rank = same; {} }}", floor.iter().map(|name| format!("\"{name}\";")).collect::<String>())?;
    }
    for package in workspace.members() {
        for dependency in &package.dependencies {
            if layers.place(&dependency.name).is_some() {
                let style = if is_dev(dependency) { " [style = dotted]" } else { "" };
                writeln!(dot, "  \"{}\" -> \"{}\"{style};", package.name, dependency.name)?;
            }
        }
    }
    dot.push('}');
    Ok(dot)
}

impl Layers {
    /// Checks who is a member, and each edge.
    fn check(&self, metadata: &Metadata) -> Report {
        let mut report = Report::default();
        let members = metadata.workspace_packages();
        for package in &members {
            let name = package.name.as_str();
            if self.place(name).is_none() {
                report.fail(format!("{name} has no place in layers.toml"));
            }
            if self.place(name) == Some(Place::Program) && package.publish.as_ref().is_none_or(|to| !to.is_empty()) {
                report.fail(format!("{name} is a program of the workspace, but lacks `publish = false`"));
            }
            for dependency in &package.dependencies {
                report.check(self.fault(package, dependency));
            }
        }
        let listed = self.layers.iter().flatten().chain(&self.beside).chain(&self.programs).chain(self.external.keys());
        for name in listed {
            if !members.iter().any(|package| package.name.as_str() == name) {
                report.fail(format!("layers.toml lists {name}, which is no member of the workspace"));
            }
        }
        report
    }

    fn place(&self, name: &str) -> Option<Place> {
        let lists = |names: &Vec<String>| names.iter().any(|listed| listed == name);
        let floor = self.layers.iter().position(lists).map(Place::Floor);
        floor.or(lists(&self.beside).then_some(Place::Beside)).or(lists(&self.programs).then_some(Place::Program))
    }

    /// What is wrong with an edge, if anything is.
    fn fault(&self, package: &Package, dependency: &Dependency) -> Option<String> {
        let (from, to) = (package.name.as_str(), dependency.name.as_str());
        let gate = dependency.target.as_ref().map(|target| format!(", only on {target}")).unwrap_or_default();
        let optional = if dependency.optional { ", optional" } else { "" };
        let edge = format!("{from} -> {to} ({:?}{optional}{gate})", dependency.kind);
        let dev = is_dev(dependency);
        let Some(target) = self.place(to) else { return self.external_fault(from, to, dev, &edge) };
        match (self.place(from), target) {
            (_, Place::Program) => Some(format!("{edge}: nothing may depend on a program")),
            (Some(Place::Floor(_)), Place::Beside) if !dev => {
                Some(format!("{edge}: {to} is for tests only, so it must be a dev-dependency"))
            }
            (Some(Place::Floor(upper)), Place::Floor(lower)) if lower > upper => {
                Some(format!("{edge}: goes up, from floor {upper} to floor {lower}"))
            }
            (Some(Place::Floor(upper)), Place::Floor(lower)) if lower == upper && from != to => {
                Some(format!("{edge}: goes sideways on floor {upper}"))
            }
            (Some(Place::Beside), Place::Beside) if !dev => Some(format!("{edge}: goes sideways, beside the tower")),
            _ => None,
        }
    }

    fn external_fault(&self, from: &str, to: &str, dev: bool, edge: &str) -> Option<String> {
        let has = |names: &[String]| names.iter().any(|name| name == to);
        let allowed = self.external.get(from).is_some_and(|names| has(names)) || (dev && has(&self.external_dev));
        (!allowed).then(|| format!("{edge}: an external crate that layers.toml does not allow here"))
    }

    /// Checks that the picture has the same crates on the same floors, in the same order.
    fn check_picture(&self, architecture: &str) -> Report {
        let mut report = Report::default();
        let mut floors = picture(architecture);
        floors.retain(|floor| floor.iter().any(|(_, stands)| *stands));
        let mut drawn: Vec<Vec<&str>> = Vec::new();
        for floor in &floors {
            let mut names: Vec<&str> = floor.iter().filter(|(_, stands)| *stands).map(|(name, _)| *name).collect();
            names.sort_unstable();
            drawn.push(names);
        }
        drawn.reverse();
        let listed = self.layers.iter().map(|floor| {
            let mut names: Vec<&str> = floor.iter().map(String::as_str).collect();
            names.sort_unstable();
            names
        });
        for (index, names) in listed.enumerate() {
            let found = drawn.get(index);
            report.check((found != Some(&names)).then(|| {
                format!("floor {index} of layers.toml is {names:?}, but ARCHITECTURE.md draws {found:?} (│ stands, ┊ planned)")
            }));
        }
        if drawn.len() > self.layers.len() {
            report.fail(format!("ARCHITECTURE.md draws {} floors, layers.toml has {}", drawn.len(), self.layers.len()));
        }
        for (name, _) in picture(architecture).iter().flatten().filter(|(_, stands)| !stands) {
            if self.place(name).is_some() {
                report.fail(format!("ARCHITECTURE.md draws {name} as planned (┊), but it stands (│)"));
            }
        }
        report
    }
}

/// The floors that ARCHITECTURE.md draws, topmost first: lines such as `4 │ name  text  ┊ other-name  text`, where `│`
/// is before a crate that stands and `┊` before one that is planned.
fn picture(architecture: &str) -> Vec<Vec<(&str, bool)>> {
    numbered_picture(architecture).into_iter().map(|(_, floor)| floor).collect()
}

/// The numbers of the floors on which everything that ARCHITECTURE.md draws stands.
pub(crate) fn standing_floors(architecture: &str) -> BTreeSet<usize> {
    let stands = |floor: &[(&str, bool)]| floor.iter().all(|(_, stands)| *stands);
    let floors = numbered_picture(architecture).into_iter();
    floors.filter(|(_, floor)| stands(floor)).map(|(number, _)| number).collect()
}

fn numbered_picture(architecture: &str) -> Vec<(usize, Vec<(&str, bool)>)> {
    let mut floors = Vec::new();
    for line in architecture.lines() {
        let Some(start) = line.find(['│', '┊']) else { continue };
        let Ok(number) = line[..start].trim().parse() else { continue };
        let marks = line[start..].char_indices().filter(|(_, c)| matches!(c, '│' | '┊'));
        let name_after = |(index, mark): (usize, char)| {
            let name = line[start + index + mark.len_utf8()..].split_whitespace().next()?;
            Some((name, mark == '│'))
        };
        floors.push((number, marks.filter_map(name_after).collect()));
    }
    floors
}

fn is_dev(dependency: &Dependency) -> bool {
    dependency.kind == DependencyKind::Development
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const LAYERS: &str = r#"
        layers = [["ground"], ["left", "right"], ["roof"]]
        beside = ["kit"]
        programs = ["tool"]
        external-dev = ["proptest"]
        [external]
        ground = ["libc"]
        tool = ["toml"]
    "#;

    /// A dependency as `cargo metadata` writes it.
    fn edge(name: &str) -> Value {
        json!({ "name": name, "source": null, "req": "*", "kind": null, "rename": null, "optional": false,
                "uses_default_features": true, "features": [], "target": null, "registry": null })
    }

    fn with(mut edge: Value, key: &str, value: Value) -> Value {
        edge[key] = value;
        edge
    }

    /// A workspace in which only `from` has dependencies.
    fn failures(from: &str, edges: &[Value]) -> Vec<String> {
        let id = |name: &str| format!("path+file:///w/{name}#0.1.0");
        let names = ["ground", "left", "right", "roof", "kit", "tool"];
        let packages: Vec<Value> = names
            .iter()
            .map(|name| {
                json!({ "name": name, "version": "0.1.0", "id": id(name), "license": null, "license_file": null,
                        "description": null, "source": null, "targets": [], "features": {},
                        "dependencies": if *name == from { edges } else { &[] },
                        "manifest_path": format!("/w/{name}/Cargo.toml"), "metadata": null, "authors": [],
                        "publish": if *name == "tool" { json!([]) } else { Value::Null },
                        "categories": [], "keywords": [], "readme": null, "repository": null, "homepage": null,
                        "documentation": null, "edition": "2024", "links": null, "default_run": null,
                        "rust_version": null })
            })
            .collect();
        let metadata = json!({ "packages": packages, "workspace_members": names.map(id),
                               "workspace_default_members": names.map(id), "resolve": null,
                               "target_directory": "/w/target", "version": 1, "workspace_root": "/w",
                               "metadata": null });
        let metadata: Metadata = serde_json::from_value(metadata).expect("metadata as cargo writes it");
        let layers: Layers = toml::from_str(LAYERS).expect("layers as we write them");
        layers.check(&metadata).failures().to_vec()
    }

    #[track_caller]
    fn assert_fails(from: &str, edge: Value, why: &str) {
        let failures = failures(from, &[edge]);
        assert!(matches!(&failures[..], [failure] if failure.contains(why)), "{failures:?}");
    }

    #[test]
    fn edges_down_are_fine() {
        let dev = |name| with(edge(name), "kind", json!("dev"));
        assert_eq!(failures("roof", &[edge("left"), edge("ground"), dev("kit"), dev("proptest")]), [""; 0]);
        assert_eq!(failures("kit", &[edge("roof"), edge("ground")]), [""; 0]);
        assert_eq!(failures("ground", &[edge("libc"), dev("kit"), dev("ground")]), [""; 0]);
        assert_eq!(failures("tool", &[edge("toml"), edge("roof"), edge("kit")]), [""; 0]);
    }

    #[test]
    fn an_upward_edge_fails() {
        assert_fails("ground", edge("left"), "goes up");
        assert_fails("ground", with(edge("roof"), "kind", json!("build")), "goes up");
        assert_fails("ground", with(edge("roof"), "kind", json!("dev")), "goes up");
    }

    #[test]
    fn a_sideways_edge_fails() {
        assert_fails("left", edge("right"), "goes sideways");
    }

    #[test]
    fn an_optional_and_target_gated_upward_edge_fails() {
        let gated = with(with(edge("roof"), "optional", json!(true)), "target", json!("cfg(windows)"));
        assert_fails("left", gated, "optional, only on cfg(windows)): goes up");
    }

    #[test]
    fn a_renamed_edge_is_known_by_its_real_name() {
        assert_fails("left", with(edge("roof"), "rename", json!("harmless")), "goes up");
    }

    #[test]
    fn an_external_crate_that_is_not_listed_fails() {
        assert_fails("left", edge("libc"), "does not allow");
        assert_fails("left", edge("proptest"), "does not allow");
        assert_fails("left", with(edge("rand"), "kind", json!("dev")), "does not allow");
    }

    #[test]
    fn the_kit_and_programs_are_not_to_build_on() {
        assert_fails("left", edge("kit"), "for tests only");
        assert_fails("left", with(edge("tool"), "kind", json!("dev")), "nothing may depend on a program");
    }

    #[test]
    fn members_and_the_list_are_the_same() {
        let layers: Layers = toml::from_str(&LAYERS.replace("\"left\", ", "")).expect("valid");
        assert_eq!(layers.place("left"), None);
        let empty = json!({ "packages": [], "workspace_members": [], "workspace_default_members": [], "resolve": null,
                            "target_directory": "/w/target", "version": 1, "workspace_root": "/w", "metadata": null });
        let empty: Metadata = serde_json::from_value(empty).expect("valid");
        assert!(layers.check(&empty).failures().iter().any(|failure| failure.contains("lists roof")));
    }

    #[test]
    fn the_picture_must_agree() {
        let layers: Layers = toml::from_str(LAYERS).expect("valid");
        let good = " 7 │ roof  x\n 5 ┊ attic  y\n 3 │ right  z  │ left  w ┊ wing v\n 0 │ ground u\n";
        assert_eq!(layers.check_picture(good).failures(), [""; 0]);
        assert_eq!(layers.check_picture(good).passed(), 3);
        assert_eq!(standing_floors(good), BTreeSet::from([0, 7]));
        let moved = " 7 │ roof\n 3 │ right\n 2 │ left\n 0 │ ground\n";
        assert!(!layers.check_picture(moved).failures().is_empty());
        let planned = " 7 ┊ roof\n 3 │ right │ left\n 0 │ ground\n";
        assert!(!layers.check_picture(planned).failures().is_empty());
    }

    #[test]
    fn this_workspace_keeps_its_layers() {
        let report = run(&Workspace::load().expect("a workspace")).expect("readable files");
        assert_eq!(report.failures(), [""; 0]);
        assert!(!report.nothing_ran());
    }
}
