//! What the `Cargo.toml` of each member has to look like: versions, lints and metadata come from one place.

use toml::Table;

/// What members inherit.
const INHERITED: [&str; 4] = ["version", "edition", "rust-version", "license"];

/// What is wrong with the manifest of the member `member`.
pub(super) fn faults(member: &str, manifest: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    let Some(package) = manifest.get("package").and_then(|package| package.as_table()) else { return faults };
    let inherits = |table: &Table, key: &str| {
        let value = table.get(key).and_then(|value| value.as_table());
        value.and_then(|value| value.get("workspace")).and_then(|inherits| inherits.as_bool()) == Some(true)
    };
    for key in INHERITED.iter().filter(|key| !inherits(package, key)) {
        faults.push(format!("{member}: `{key}` is not the workspace's: write `{key}.workspace = true`"));
    }
    if manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(|it| it.as_bool()) != Some(true) {
        faults.push(format!("{member}: the workspace's lints are not on"));
    }
    let description = package.get("description").and_then(|text| text.as_str()).unwrap_or_default();
    if description.is_empty() || description.ends_with('.') {
        faults.push(format!("{member}: needs a `description`: one sentence, without a full stop"));
    }
    faults.extend(unshared(member, manifest));
    faults
}

/// Dependencies with a version of their own.
fn unshared(member: &str, table: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    for (key, value) in table {
        let Some(inner) = value.as_table() else { continue };
        if key.ends_with("dependencies") {
            let own = inner.iter().filter(|(_, value)| value.get("workspace").is_none());
            faults.extend(
                own.map(|(name, _)| format!("{member}: `{name}` is not taken from the workspace's dependencies")),
            );
        } else if key == "target" || table.contains_key("dependencies") || key.starts_with("cfg(") {
            faults.extend(unshared(member, inner));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [package]
        name = "a"
        description = "One thing"
        version.workspace = true
        edition.workspace = true
        rust-version.workspace = true
        license.workspace = true
        [dependencies]
        b.workspace = true
        [target.'cfg(unix)'.dependencies]
        c = { workspace = true, features = ["x"] }
        [lints]
        workspace = true
    "#;

    fn faults_of(text: &str) -> Vec<String> {
        faults("Cargo.toml", &text.parse().expect("valid"))
    }

    #[test]
    fn everything_shared_comes_from_the_workspace() {
        assert_eq!(faults_of(GOOD), [""; 0]);
        assert_eq!(faults_of(&GOOD.replace("edition.workspace = true", "edition = \"2021\"")).len(), 1);
        assert_eq!(faults_of(&GOOD.replace("[lints]\n        workspace", "[lints]\n        other")).len(), 1);
        assert_eq!(faults_of(&GOOD.replace("b.workspace = true", "b = \"1\"")).len(), 1);
        assert_eq!(faults_of(&GOOD.replace("c = { workspace = true", "c = { version = \"1\"")).len(), 1);
        assert_eq!(faults_of(&GOOD.replace("One thing", "One thing.")).len(), 1);
    }
}
