//! Broken configurations: every fault is named at its place with the remedy, all at once.

use std::fs;
use std::path::Path;

use richter::rules::{Files, check};

use super::broker::scratch;
use super::case::sections;
use super::program::richter;

/// Writes a case's files into a folder of its own.
fn laid_out(name: &str, sections: &[(String, String)]) -> std::path::PathBuf {
    let folder = scratch(&format!("broken-{name}"));
    for (head, body) in sections.iter().filter(|(head, _)| head != "faults") {
        let file = folder.join(head);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, body).expect("written");
    }
    folder
}

fn faults(folder: &Path, stdout: &str) -> String {
    stdout.replace(&format!("{}/", folder.display()), "")
}

#[test]
fn every_broken_configuration_is_told_with_place_and_remedy() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut paths: Vec<_> = fs::read_dir(cases).expect("the cases").map(|e| e.expect("a case").path()).collect();
    paths.sort();
    assert!(paths.len() >= 10, "there are {} cases", paths.len());
    let mut wrong = vec![];
    for path in paths {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("readable");
        let sections = sections(&text);
        let expected = sections.iter().find(|(head, _)| head == "faults").map_or("", |(_, body)| body);
        let folder = laid_out(&name, &sections);
        let checked = richter(&["check", "--config", &folder.to_string_lossy()]);
        let told = faults(&folder, &checked.stdout);
        if told != expected || checked.code != Some(1) || told.is_empty() {
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                let head = text.split("== faults").next().expect("a head");
                fs::write(&path, format!("{head}== faults\n{told}")).expect("writable");
            }
            wrong.push(format!("{name}: exit {:?}, expected\n{expected}got\n{told}{}", checked.code, checked.stderr));
            continue;
        }
        let ran = richter(&["run", "--config", &folder.to_string_lossy()]);
        let same = faults(&folder, &ran.stderr).starts_with(expected);
        if ran.code != Some(1) || !same {
            wrong.push(format!("{name}: `run` must refuse with the same words, and said\n{}", ran.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names are unique in all files together.
#[test]
fn a_name_in_another_file_exists_already() {
    let plan = "plans: [ { name: roll back, kind: roll_back } ]".to_owned();
    let role = "roles: [ { name: lead, people: [ ann ], may: [ \"*\" ] } ]".to_owned();
    let files = Files {
        plans: vec![("a.yaml".into(), plan.clone()), ("b.yaml".into(), plan)],
        duty: vec![("a.yaml".into(), role.clone()), ("b.yaml".into(), role)],
        ..Files::default()
    };
    let told: Vec<String> = check(&files).1.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|told| told.contains("b.yaml") && told.contains("a plan \"roll back\" exists already")), "{told:?}");
    assert!(told.iter().any(|told| told.contains("b.yaml") && told.contains("role \"lead\" exists already")), "{told:?}");
}
