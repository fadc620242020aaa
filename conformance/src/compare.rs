//! Comparing traces with those that are expected, and the counts by tag.

use crate::run;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What has become of the cases that were compared.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    tags: BTreeMap<String, Counts>,
    all: Counts,
    /// One line for each case that is not as expected.
    differences: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    ok: usize,
    differ: usize,
    unsupported: usize,
    error: usize,
}

#[derive(Clone, Copy, Debug)]
enum Verdict {
    Ok,
    Differs,
    Unsupported,
    Error,
}

impl Comparison {
    /// Runs one case and compares.
    pub(crate) fn add(&mut self, line: &Value) {
        let trace = run::run(line);
        let case = &line["case"];
        let (verdict, why) = judge(&trace, &line["expected"], case["order"] == "exact");
        self.all.add(verdict);
        for tag in case["tags"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.tags.entry(tag.to_owned()).or_default().add(verdict);
        }
        if let Some(why) = why {
            self.differences.push(format!("{}: {why}", case["id"].as_str().unwrap_or("?")));
        }
    }

    /// Whether there were cases, and all were as expected.
    pub(crate) fn is_good(&self) -> bool {
        self.all.ok > 0 && self.differences.is_empty()
    }

    /// A table by tag, and each difference.
    pub(crate) fn report(&self) -> String {
        let mut text = format!("{:30}{:>6}{:>8}{:>13}{:>7}\n", "tag", "ok", "differ", "unsupported", "error");
        for (tag, counts) in self.tags.iter().map(|(tag, counts)| (tag.as_str(), counts)).chain([("total", &self.all)])
        {
            let Counts { ok, differ, unsupported, error } = counts;
            let _ = writeln!(text, "{tag:30}{ok:>6}{differ:>8}{unsupported:>13}{error:>7}");
        }
        for difference in &self.differences {
            let _ = writeln!(text, "DIFFERS {difference}");
        }
        text
    }
}

impl Counts {
    fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Ok => self.ok += 1,
            Verdict::Differs => self.differ += 1,
            Verdict::Unsupported => self.unsupported += 1,
            Verdict::Error => self.error += 1,
        }
    }
}

/// Compares a trace with the one that is expected; says what differs first.
fn judge(trace: &Value, expected: &Value, exact: bool) -> (Verdict, Option<String>) {
    if let Some(what) = trace.get("unsupported") {
        return (Verdict::Unsupported, Some(format!("unsupported: {what}")));
    }
    if let Some(what) = trace.get("error") {
        return (Verdict::Error, Some(format!("error: {what}")));
    }
    match first_difference(trace, expected, exact) {
        None => (Verdict::Ok, None),
        Some(why) => (Verdict::Differs, Some(why)),
    }
}

fn first_difference(trace: &Value, expected: &Value, exact: bool) -> Option<String> {
    let empty = serde_json::Map::new();
    let (actors, expected_actors) = (&trace["actors"], &expected["actors"]);
    let names = [actors, expected_actors].map(|actors| actors.as_object().unwrap_or(&empty).keys());
    // Of all the actors, the one whose first difference is earliest tells most.
    let earliest = names.into_iter().flatten().filter_map(|actor| {
        let (events, expected) = (events(&actors[actor]), events(&expected_actors[actor]));
        let at = (0..events.len().max(expected.len())).find(|&at| events.get(at) != expected.get(at))?;
        let tick = [events.get(at), expected.get(at)].into_iter().flatten().filter_map(|event| event[0].as_i64()).min();
        let show = |event: Option<&Value>| event.map_or_else(|| "nothing".to_owned(), Value::to_string);
        Some((tick, format!("{actor}[{at}] is {}, not {}", show(events.get(at)), show(expected.get(at)))))
    });
    if let Some((_, why)) = earliest.min() {
        return Some(why);
    }
    let keys = ["result", "finish", "time", "order"];
    let key = keys[..if exact { 4 } else { 3 }].iter().find(|key| trace[**key] != expected[**key])?;
    Some(format!("{key} is {}, not {}", trace[*key], expected[*key]))
}

fn events(actor: &Value) -> &[Value] {
    actor.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_earliest_difference_is_named() {
        let expected = json!({ "actors": { "a": [[0, "start"], [3, "end"]], "b": [[1, "start"]] } });
        let trace = json!({ "actors": { "a": [[0, "start"], [4, "end"]], "b": [[2, "start"]] } });
        let why = first_difference(&trace, &expected, false);
        assert_eq!(why.as_deref(), Some(r#"b[0] is [2,"start"], not [1,"start"]"#));
        assert_eq!(first_difference(&expected, &expected, true), None);
    }
}
