//! An export is there whole, or not at all.

use crate::export::target::{MANIFEST, Target};
use crate::export::{ExportError, may_be_made};
use serde_json::json;
use std::fs;
use std::io;
use std::path::Path;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn export(path: &Path, replace: bool, content: &str) -> Result<(), ExportError> {
    let target = Target::begin(path, replace)?;
    fs::write(target.folder().join("lots.csv"), content).unwrap();
    target.finish(&json!({ "format": 1 }))
}

#[test]
fn a_folder_appears_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("deep/out");
    export(&out, false, "a").unwrap();
    assert_eq!(names(&out), [MANIFEST, "lots.csv"]);
    assert_eq!(names(out.parent().unwrap()), ["out"], "nothing is left beside it");
}

#[test]
fn what_was_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::begin(&folder.path().join("out"), false).unwrap();
    fs::write(target.folder().join("lots.csv"), "half").unwrap();
    drop(target);
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn an_earlier_export_is_replaced_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    export(&out, false, "first").unwrap();
    assert!(matches!(export(&out, false, "second"), Err(ExportError::Exists(_))));
    assert_eq!(fs::read_to_string(out.join("lots.csv")).unwrap(), "first");
    export(&out, true, "second").unwrap();
    assert_eq!(fs::read_to_string(out.join("lots.csv")).unwrap(), "second");
    assert_eq!(names(folder.path()), ["out"]);
}

#[test]
fn what_no_export_made_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (folder.path().join("file"), folder.path().join("photos"));
    fs::write(&file, "mine").unwrap();
    fs::create_dir(&other).unwrap();
    fs::write(other.join("a.jpg"), "mine").unwrap();
    for path in [&file, &other] {
        assert!(matches!(may_be_made(path, false), Err(ExportError::Exists(_))));
        assert!(matches!(export(path, true, "x"), Err(ExportError::Foreign(_))));
    }
    assert_eq!(names(folder.path()), ["file", "photos"]);
    assert_eq!(names(&other), ["a.jpg"]);
}

#[test]
fn a_full_disk_says_what_to_do() {
    let source = io::Error::from(io::ErrorKind::StorageFull);
    let error = ExportError::Io { path: "out/lots.csv".into(), source };
    assert!(error.to_string().contains("free some space"), "{error}");
}
