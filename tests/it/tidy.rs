//! Rules of the house, as absences: the pure part touches no world, and files stay readable.

use std::fs;
use std::path::{Path, PathBuf};

use richter::model::Event;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![];
    sources(&root.join("src"), &mut found);
    sources(&root.join("tests"), &mut found);
    found.sort();
    let name = |path: &PathBuf| path.strip_prefix(root).expect("inside").to_string_lossy().into_owned();
    found.iter().map(|path| (name(path), fs::read_to_string(path).expect("text"))).collect()
}

fn is_pure(file: &str) -> bool {
    let worldly = ["src/shell", "src/cli", "src/main.rs"];
    file.starts_with("src/") && !worldly.iter().any(|part| file.starts_with(part))
}

#[test]
fn only_the_shell_touches_the_world() {
    let world = [
        "tokio",
        "rdkafka",
        "::now()",
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "std::process",
        "Mutex<",
        "RwLock<",
        "async fn",
        "println!",
        "eprintln!",
        "HashSet<",
        "rand::",
        "tracing::",
    ];
    // The last bit of std's own depends on the system; that of a square root does not.
    let inexact = "ln log log2 log10 ln_1p exp exp2 exp_m1 powf powi cbrt hypot \
        sin cos tan sin_cos asin acos atan atan2 sinh cosh tanh asinh acosh atanh";
    let inexact = inexact.split_whitespace();
    let inexact = inexact.flat_map(|name| [format!(".{name}("), format!("f64::{name}"), format!("f32::{name}")]);
    let world: Vec<String> = world.map(String::from).into_iter().chain(inexact).collect();
    let mut found = vec![];
    for (file, text) in files().into_iter().filter(|(file, _)| is_pure(file)) {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            found.extend(world.iter().filter(|word| code.contains(*word)).map(|word| format!("{file}:{}: {word}", number + 1)));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_stage_never_imports_a_later_one() {
    let order = [
        "model",
        "query",
        "rules",
        "stage",
        "wire",
        "contract",
        "route",
        "detect",
        "correlate",
        "grade",
        "declare",
        "report",
        "notify",
        "engine",
        "shell",
        "cli",
    ];
    let mut found = vec![];
    for (file, text) in files().into_iter().filter(|(file, _)| file.starts_with("src/")) {
        let module = file.trim_start_matches("src/").trim_end_matches(".rs").split('/').next().unwrap_or_default().to_owned();
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let Some(place) = order.iter().position(|m| *m == module) else { panic!("{file}: where does {module} stand?") };
        let code = |line: &&str| !line.trim_start().starts_with("//");
        // Several imported at once would be missed.
        let later = |line: &&str| line.contains("crate::{") || order[place + 1..].iter().any(|m| line.contains(&format!("crate::{m}")));
        found.extend(text.lines().filter(code).filter(later).map(|line| format!("{file}: {}", line.trim())));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn files_and_functions_stay_readable() {
    let mut found = vec![];
    for (file, text) in files() {
        let lines = text.lines().count();
        if lines > 600 {
            found.push(format!("{file} has {lines} lines"));
        }
        if !text.starts_with("//!") {
            found.push(format!("{file} does not say what it is"));
        }
        let mut open: Option<(usize, usize, String)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let code = line.trim_start();
            let begins = (code.starts_with("fn ") || code.contains(" fn ")) && !code.starts_with("//") && code.ends_with(['{', '(']);
            if open.is_none() && begins {
                open = Some((number, indent, code.to_owned()));
            } else if code.starts_with(')') && code.ends_with(';') && open.as_ref().is_some_and(|(_, depth, _)| indent == *depth) {
                // It has no body.
                open = None;
            } else if let Some((start, _, name)) = open.take_if(|(_, depth, _)| code == "}" && indent == *depth)
                && number - start >= 70
            {
                found.push(format!("{file}:{}: {} lines: {name}", start + 1, number - start + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// The names of metrics in a text.
fn metrics(text: &str) -> std::collections::BTreeSet<&str> {
    let names = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    names.filter(|name| name.starts_with("richter_") && name.len() > "richter_".len()).collect()
}

#[test]
fn all_metrics_and_events_are_documented_and_alerts_name_metrics_that_exist() {
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("text");
    let (source, documented) = (read("src/shell/metrics.rs"), read("docs/metrics.md"));
    let (told, documented) = (metrics(&source), metrics(&documented));
    assert!(told.len() > 40, "{told:?}");
    assert_eq!(told, documented);
    let alerts = read("deploy/alerts.yml");
    let unknown: Vec<&str> = metrics(&alerts).difference(&told).copied().collect();
    assert!(unknown.is_empty(), "no such metrics: {unknown:?}");
    let events = read("docs/events.md");
    let missing: Vec<&str> =
        Event::ALL.iter().map(|event| event.as_str()).filter(|event| !events.contains(&format!("`{event}`"))).collect();
    assert!(missing.is_empty(), "docs/events.md lacks {missing:?}");
}

/// The keys of all objects that a schema describes.
fn keys(schema: &serde_json::Value) -> Vec<&str> {
    let own = || schema["properties"].as_object().into_iter().flatten();
    let others = schema.as_object().into_iter().flatten().filter(|(name, _)| *name != "properties").map(|(_, inner)| inner);
    let inside = own().map(|(_, described)| described).chain(others).chain(schema.as_array().into_iter().flatten());
    own().map(|(key, _)| key.as_str()).chain(inside.flat_map(keys)).collect()
}

#[test]
fn every_key_of_the_configuration_is_documented() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).expect("text");
    let quoted = text.split('`').skip(1).step_by(2);
    let documented: std::collections::BTreeSet<&str> =
        quoted.flat_map(|code| code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))).collect();
    for (file, schema) in richter::rules::schemas() {
        let schema = serde_json::to_value(&schema).expect("JSON");
        let keys = keys(&schema);
        assert!(keys.len() > 8, "{file}: {keys:?}");
        let missing: Vec<&str> = keys.into_iter().filter(|key| !documented.contains(key)).collect();
        assert!(missing.is_empty(), "docs/configuration.md lacks {missing:?} of {file}");
    }
}
