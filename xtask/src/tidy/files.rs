//! What holds for every text file: no folder of somebody's machine, clean line ends, and workflows without logic.

/// Folders at the root of somebody's own machine: nothing here may depend on one.
const PRIVATE_FOLDERS: [&str; 6] = ["home", "Users", "root", "work", "workspace", "mnt"];

/// What a step of a workflow may run.
const STEPS: [&str; 2] = ["cargo xtask ", ".ci/run"];

/// What is wrong with a file.
pub(super) fn faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if let Some(folder) = PRIVATE_FOLDERS.iter().find(|folder| names_folder(line, folder)) {
            faults.push(format!("{path}:{number}: names a folder of one machine, /{folder}"));
        }
        let step = line.trim_start().trim_start_matches("- ").strip_prefix("run:").map(str::trim);
        let is_step = path.starts_with(".github/workflows/");
        let may_run = |step: &str| step.is_empty() || STEPS.iter().any(|allowed| step.starts_with(allowed));
        if let Some(step) = step.filter(|step| is_step && !may_run(step)) {
            faults.push(format!("{path}:{number}: `{step}`: workflows only call `cargo xtask` and `.ci/run`"));
        }
        if line.ends_with([' ', '\t']) && !path.ends_with(".md") {
            faults.push(format!("{path}:{number}: has blanks at the end of the line"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        faults.push(format!("{path}: does not end with a newline"));
    }
    faults
}

/// Whether `/folder/` stands in the line as the start of a path.
fn names_folder(line: &str, folder: &str) -> bool {
    let path = format!("/{folder}/");
    let starts = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "/._-~}:…*>)".contains(c));
    line.match_indices(&path).any(|(at, _)| starts(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_one_machine_are_named_nowhere() {
        let path = |folder: &str| format!("see /{folder}/me/file\n");
        assert_eq!(faults("a.md", &path("home")).len(), 1);
        assert_eq!(faults("a.md", &path("tmp")), [""; 0]);
        assert_eq!(faults("a.md", "https://example.org/home/page and src/root/x\n"), [""; 0]);
    }

    #[test]
    fn workflows_have_no_logic() {
        let workflow = ".github/workflows/ci.yml";
        assert_eq!(faults(workflow, "      - run: cargo xtask ci\n"), [""; 0]);
        assert_eq!(faults(workflow, "      - run: cargo test && echo done\n").len(), 1);
    }
}
