//! Markdown, as far as links and fences go.
//!
//! Absent on purpose: fetching what is on the web. A link is checked if it leads to a file here.

/// What a Markdown file contains.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Link targets with their line numbers.
    pub(crate) links: Vec<(usize, String)>,
    /// Anchors of the headings.
    pub(crate) anchors: Vec<String>,
    /// What is written after the opening fence of each code block, with its line number.
    pub(crate) fences: Vec<(usize, String)>,
}

impl Page {
    /// Reads a page.
    pub(crate) fn new(text: &str) -> Self {
        let mut page = Self::default();
        let mut fence: Option<&str> = None;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let trimmed = line.trim_start();
            if let Some(open) = fence {
                if trimmed.starts_with(open) && trimmed.trim_end().chars().all(|c| open.starts_with(c)) {
                    fence = None;
                }
                continue;
            }
            if let Some(marks) = ["```", "~~~"].into_iter().find(|marks| trimmed.starts_with(marks)) {
                fence = Some(marks);
                page.fences.push((number, trimmed.trim_start_matches(['`', '~']).trim().to_owned()));
                continue;
            }
            if trimmed.starts_with('#') {
                page.add_anchor(trimmed.trim_start_matches('#').trim());
            }
            page.links.extend(links(&without_code(line)).into_iter().map(|link| (number, link)));
        }
        page
    }

    /// Whether a code block is compiled as a doctest.
    pub(crate) fn is_rust(info: &str) -> bool {
        info.is_empty() || info.split(',').any(|word| word.trim() == "rust")
    }

    fn add_anchor(&mut self, heading: &str) {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase();
        let same = self.anchors.iter().filter(|known| **known == anchor).count();
        self.anchors.push(if same == 0 { anchor } else { format!("{anchor}-{same}") });
    }
}

/// The line with its code spans blanked.
fn without_code(line: &str) -> String {
    let parts = line.split('`').enumerate();
    parts.map(|(index, part)| if index % 2 == 0 { part } else { "code" }).collect()
}

/// The targets of `[text](target)` and of `[name]: target`.
fn links(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find("](") {
        rest = &rest[start + 2..];
        let Some(end) = rest.find(')') else { break };
        found.extend(rest[..end].split_whitespace().next().map(str::to_owned));
        rest = &rest[end..];
    }
    let definition = line.strip_prefix('[').and_then(|line| line.split_once("]: "));
    if let Some((_, target)) = definition.filter(|(name, _)| !name.contains(']')) {
        found.extend(target.split_whitespace().next().map(str::to_owned));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_of_code_only() {
        let page = Page::new("See [a](b.md#c \"t\") and `[x](y)`.\n```text\n[no](where)\n```\n[d]: e.md\n[`T`] too\n");
        assert_eq!(page.links, [(1, "b.md#c".to_owned()), (5, "e.md".to_owned())]);
    }

    #[test]
    fn headings_have_anchors() {
        let page = Page::new("# The loop: `run` & stop\n## A b\n## A b\n");
        assert_eq!(page.anchors, ["the-loop-run--stop", "a-b", "a-b-1"]);
    }

    #[test]
    fn fences_say_their_language() {
        let page = Page::new("```rust,no_run\n```\n~~~\n# no heading\n~~~\n");
        assert_eq!(page.fences, [(1, "rust,no_run".to_owned()), (3, String::new())]);
        assert!(Page::is_rust("rust,no_run") && Page::is_rust("") && !Page::is_rust("text"));
        assert!(page.anchors.is_empty());
    }
}
