use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{
    super::{ConfigDirectory, Configuration, Loaded, PathStep},
    CollectorFiles, FOLDER,
};

const MAIN: (&str, &str) = ("pattoo_wasm.yaml", "pattoo_wasm: { hostname: h }\n");

/// A configuration directory of these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("pattoo.yaml", "main: { daemon_directory: /d }\n")].iter().chain(files) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn loaded(folder: &TempDir) -> Loaded {
    Loaded::load(&ConfigDirectory::at(folder.path())).unwrap_or_else(|error| panic!("{error}"))
}

/// What is wrong, each with its file name and place, and the fix.
fn refusals(folder: &TempDir) -> Vec<(String, String)> {
    let error = Configuration::load(&ConfigDirectory::at(folder.path())).unwrap_err();
    let prefix = format!("{}/", folder.path().display());
    let without = |text: String| text.replace(&prefix, "");
    error.problems().iter().map(|problem| (without(problem.to_string()), without(problem.help.clone()))).collect()
}

fn programs(loaded: &Loaded) -> Vec<&str> {
    loaded.configuration.collectors.iter().map(|collector| collector.program.as_str()).collect()
}

/// A file with these collectors.
fn list(programs: &[&str]) -> String {
    let items = programs.iter().map(|program| format!("    - {{ program: {program}, module: m.wasm }}\n"));
    format!("pattoo_wasm:\n  collectors:\n{}", items.collect::<String>())
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_are_read_in_the_order_of_their_names_and_others_are_ignored() {
    let main = list(&["MAIN"]).replace("pattoo_wasm:\n", "pattoo_wasm:\n  hostname: h\n");
    let folder = directory(&[
        ("pattoo_wasm.yaml", &main),
        ("pattoo_wasm.d/b.yaml", &list(&["Z", "B"])),
        ("pattoo_wasm.d/a.yml", &list(&["A"])),
        ("pattoo_wasm.d/B.yaml", &list(&["UPPER"])),
        ("pattoo_wasm.d/none.yaml", "pattoo_wasm: { collectors: [] }\n"),
        ("pattoo_wasm.d/.hidden.yaml", "["),
        ("pattoo_wasm.d/b.yaml.bak", "["),
        ("pattoo_wasm.d/README", "["),
        ("pattoo_wasm.d/folder.yaml/c.yaml", "["),
    ]);
    let loaded = loaded(&folder);
    assert_eq!(programs(&loaded), ["MAIN", "UPPER", "A", "Z", "B"]);
    let modules: Vec<&PathBuf> = loaded.configuration.collectors.iter().map(|collector| &collector.module).collect();
    assert_eq!(modules[0], &folder.path().join("m.wasm"));
    assert_eq!(modules[1], &folder.path().join("pattoo_wasm.d/m.wasm"), "a path is relative to its own file");
}

#[test]
fn folder_may_be_missing_or_empty() {
    let folder = directory(&[MAIN]);
    assert!(programs(&loaded(&folder)).is_empty());
    fs::create_dir(folder.path().join(FOLDER)).unwrap();
    assert!(programs(&loaded(&folder)).is_empty());
}

#[test]
fn folder_that_cannot_be_read_is_an_error() {
    let folder = directory(&[MAIN, (FOLDER, "")]);
    assert!(refusals(&folder)[0].0.starts_with("pattoo_wasm.d: Not a directory"), "{:?}", refusals(&folder));
    fs::remove_file(folder.path().join(FOLDER)).unwrap();
    symlink("elsewhere", folder.path().join(FOLDER)).unwrap();
    assert!(refusals(&folder)[0].0.starts_with("pattoo_wasm.d: No such file"), "{:?}", refusals(&folder));
}

#[test]
fn files_of_a_kubernetes_volume_are_read_through_their_links() {
    let folder = directory(&[MAIN, ("pattoo_wasm.d/..2026_07/one.yaml", &list(&["ONE"]))]);
    let at = |name: &str| folder.path().join(FOLDER).join(name);
    symlink("..2026_07", at("..data")).unwrap();
    symlink("..data/one.yaml", at("one.yaml")).unwrap();
    assert_eq!(programs(&loaded(&folder)), ["ONE"]);
    assert_eq!(loaded(&folder).configuration.collectors[0].module, at("m.wasm"));
    symlink("..data/two.yaml", at("two.yaml")).unwrap();
    let [(what, help)] = &refusals(&folder)[..] else { panic!("{:?}", refusals(&folder)) };
    assert!(
        what.starts_with("pattoo_wasm.d/two.yaml: No such file") && help.contains("or remove it"),
        "{what}; {help}"
    );
}

#[test]
fn errors_of_all_files_are_reported_at_once_in_their_own_places() {
    let folder = directory(&[
        ("pattoo_wasm.yaml", "pattoo_wasm: { hostnam: h }\n"),
        ("pattoo_wasm.d/a.yaml", "pattoo_wasm:\n  outputs: {}\n  colectors: []\n  collectors: [{ program: A }]\n"),
        ("pattoo_wasm.d/b.yaml", "pattoo_wasm: { collectors: [ }\n"),
        ("pattoo_wasm.d/c.yaml", "collectors: []\n"),
        ("pattoo_wasm.d/d.yaml", "pattoo_wasm: {}\n"),
        ("pattoo_wasm.d/e.yaml", ""),
        ("pattoo_wasm.d/f.yaml", "pattoo_wasm: { collectors: [], collectors: [] }\n"),
        ("pattoo_wasm.d/g.yaml", "- { program: G, module: g }\n"),
    ]);
    let pipe = folder.path().join("pattoo_wasm.d/h.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let found = refusals(&folder);
    for (what, help) in [
        ("pattoo_wasm.yaml:1:16: `hostnam` is not a key of `pattoo_wasm`", "did you mean `hostname`?"),
        ("pattoo_wasm.d/a.yaml:2:3: `outputs` belongs in pattoo_wasm.yaml", "move it to pattoo_wasm.yaml; a file in"),
        ("pattoo_wasm.d/a.yaml:3:3: `colectors` is not a key of", "did you mean `collectors`?"),
        ("pattoo_wasm.d/a.yaml:4:16: `module` is missing", "add `module: "),
        ("pattoo_wasm.d/b.yaml:1:", ""),
        ("pattoo_wasm.d/c.yaml:1:1: `collectors` is not a key of a file in", "the keys here are `pattoo_wasm`"),
        ("pattoo_wasm.d/d.yaml:1:1: `collectors` is missing", "add `collectors: "),
        ("pattoo_wasm.d/e.yaml:1:1: `pattoo_wasm` is missing", "add `pattoo_wasm: { collectors: [] }`"),
        ("pattoo_wasm.d/f.yaml:1:32: `collectors` is given twice", ""),
        ("pattoo_wasm.d/g.yaml:1:1: expected a map with the keys of a file in", "`pattoo_wasm`"),
        ("pattoo_wasm.d/h.yaml: it is a named pipe, not a regular file", "make it a YAML file"),
    ] {
        let is_that = |found: &&(String, String)| found.0.starts_with(what) && found.1.contains(help);
        assert!(found.iter().any(|found| is_that(&found)), "{what}, {help}: {found:#?}");
    }
}

#[test]
fn errors_of_files_in_the_folder_are_reported_without_a_main_file() {
    let folder = directory(&[("pattoo_wasm.d/a.yaml", "pattoo_wasm: { collectors: [{ program: A }] }\n")]);
    let found = refusals(&folder);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].0.starts_with("pattoo_wasm.yaml: No such file"), "{found:#?}");
    assert!(found[1].0.starts_with("pattoo_wasm.d/a.yaml:1:29: `module` is missing"), "{found:#?}");
}

#[test]
fn program_that_is_named_in_two_files_is_refused_with_both_places() {
    let folder = directory(&[
        MAIN,
        ("pattoo_wasm.d/a.yaml", &list(&["A", "B"])),
        ("pattoo_wasm.d/b.yaml", &list(&["C", "B", "C"])),
    ]);
    let found = refusals(&folder);
    let expected = [
        (
            "pattoo_wasm.d/b.yaml:4:18: the program `B` is named twice",
            "rename one of them; the other is in line 4 of pattoo_wasm.d/a.yaml; several collectors may share a module",
        ),
        (
            "pattoo_wasm.d/b.yaml:5:18: the program `C` is named twice",
            "rename one of them; the other is in line 3; several collectors may share a module",
        ),
    ];
    assert_eq!(found, expected.map(|(what, help)| (what.to_owned(), help.to_owned())));
    let many = list(&vec!["SAME"; 300]);
    fs::write(folder.path().join("pattoo_wasm.d/b.yaml"), many).unwrap();
    assert_eq!(refusals(&folder).len(), super::MAX_REPEATED);
}

#[test]
fn outputs_of_the_main_file_are_those_of_all_files() {
    let main = "pattoo_wasm: { hostname: h, outputs: { one: { type: file, path: f } } }\n";
    let other =
        |name: &str| format!("pattoo_wasm: {{ collectors: [{{ program: A, module: m, outputs: [{name}] }}] }}\n");
    let folder = directory(&[("pattoo_wasm.yaml", main), ("pattoo_wasm.d/a.yaml", &other("one"))]);
    assert_eq!(loaded(&folder).configuration.collectors[0].outputs[0].as_str(), "one");
    fs::write(folder.path().join("pattoo_wasm.d/a.yaml"), other("two")).unwrap();
    let found = refusals(&folder);
    assert!(found[0].0.contains("a.yaml:1:64: there is no output `two`"), "{found:?}");
    assert!(found[0].1.contains("in pattoo_wasm.yaml") && found[0].1.contains("`one`"), "{found:?}");
}

#[test]
fn outputs_are_not_checked_when_pattoos_files_are_wrong() {
    let main = "pattoo_wasm: { hostname: h, collectors: [{ program: A, module: m, outputs: [pattoo] }] }\n";
    let folder = directory(&[("pattoo.yaml", "["), ("pattoo_wasm.yaml", main)]);
    let found = refusals(&folder);
    assert!(found.len() == 1 && found[0].0.starts_with("pattoo.yaml:"), "{found:#?}");
}

#[test]
fn folder_and_file_that_others_can_change_are_refused() {
    let folder = directory(&[MAIN, ("pattoo_wasm.d/a.yaml", &list(&["A"]))]);
    let at = |name: &str| folder.path().join(name);
    // The sticky bit does not prevent others from adding a file.
    for (name, open, closed) in
        [(FOLDER, 0o777, 0o755), (FOLDER, 0o1777, 0o755), ("pattoo_wasm.d/a.yaml", 0o666, 0o644)]
    {
        mode(&at(name), open);
        let found = refusals(&folder);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0.ends_with("can be written by every user"), "{found:?}");
        assert!(found[0].1.ends_with(&format!("chmod o-w {name}")), "{found:?}");
        mode(&at(name), closed);
    }
    assert_eq!(programs(&loaded(&folder)), ["A"]);
}

#[test]
fn too_many_or_too_large_files_are_refused() {
    let files: Vec<_> = (0..3).map(|number| format!("pattoo_wasm.d/{number}.yaml")).collect();
    let empty = "pattoo_wasm: { collectors: [] }\n";
    let folder = directory(&files.iter().map(|name| (name.as_str(), empty)).collect::<Vec<_>>());
    let read = |files, bytes| CollectorFiles::read_up_to(&ConfigDirectory::at(folder.path()), files, bytes);
    let fits = read(3, 3 * empty.len());
    assert_eq!((fits.sources.len(), fits.problems.len()), (3, 0));
    let what = |found: CollectorFiles| found.problems[0].what.clone();
    assert!(what(read(2, 1000)).ends_with("pattoo_wasm.d has 3 files with collectors, more than 2"));
    assert!(what(read(3, 3 * empty.len() - 1)).contains("have more than 95 bytes together"));
}

#[test]
fn place_of_a_collector_is_in_its_own_file() {
    let main = list(&["MAIN"]).replace("pattoo_wasm:\n", "pattoo_wasm:\n  hostname: h\n");
    let folder = directory(&[("pattoo_wasm.yaml", &main), ("pattoo_wasm.d/b.yaml", &list(&["Z", "B"]))]);
    let loaded = loaded(&folder);
    let place = |index| loaded.place_in_collector(index, &[PathStep::Key("module")]).to_string();
    assert!(place(0).ends_with("/pattoo_wasm.yaml:4:32"), "{}", place(0));
    assert!(place(2).ends_with("/pattoo_wasm.d/b.yaml:4:29"), "{}", place(2));
}

#[test]
fn effective_settings_are_those_of_all_files_with_paths_that_still_lead_there() {
    let further = "
pattoo_wasm:
  collectors:
    - program: A
      module: m.wasm
      settings_file: a.json
      settings: { two: 2 }
      grants: { http: [{ origin: 'https://a.example.org', headers: { x-token: { secret_file: token } } }] }
";
    let folder = directory(&[
        MAIN,
        ("pattoo_wasm.d/a.yaml", further),
        ("pattoo_wasm.d/token", "hush"),
        ("pattoo_wasm.d/a.json", r#"{"one": "sesame"}"#),
    ]);
    let loaded = loaded(&folder);
    assert_eq!(loaded.configuration.collectors[0].settings, r#"{"one":"sesame","two":2}"#);
    let effective = loaded.effective();
    assert!(!effective.contains("hush") && !effective.contains("sesame"), "{effective}");
    let (pattoo, ours) = effective.split_once("pattoo_wasm:").unwrap();
    let again = directory(&[("pattoo.yaml", pattoo), ("pattoo_wasm.yaml", &format!("pattoo_wasm:{ours}"))]);
    assert_eq!(self::loaded(&again).configuration, loaded.configuration, "{effective}");
}

/// A collector with this `settings_file`, and with these settings beside it.
fn with_settings(file: &str, settings: &str) -> String {
    format!(
        "pattoo_wasm:\n  hostname: h\n  collectors:\n    - program: A\n      module: m\n      settings_file: {file}\n      \
         settings: {settings}\n"
    )
}

#[test]
fn settings_are_those_of_the_file_and_of_the_collector() {
    for (name, text, settings, expected) in [
        ("s.yaml", "one: 1\nlist: [a]\n", "{ two: '2' }", r#"{"one":1,"list":["a"],"two":"2"}"#),
        ("s.json", "{\"one\": 1}", "{}", r#"{"one":1}"#),
        ("deep/s.yaml", "", "~", "{}"),
        ("s", "one: ~\n", "~", r#"{"one":null}"#),
    ] {
        let folder = directory(&[("pattoo_wasm.yaml", &with_settings(name, settings)), (name, text)]);
        assert_eq!(loaded(&folder).configuration.collectors[0].settings, expected, "{name}");
    }
}

#[test]
fn setting_that_is_in_both_places_is_refused() {
    let folder = directory(&[
        ("pattoo_wasm.yaml", &with_settings("s.yaml", "{ two: 3, one: 2 }")),
        ("s.yaml", "# one\n\none: 1\n"),
    ]);
    let what = "pattoo_wasm.yaml:7:27: `one` is in `settings` and in s.yaml too";
    assert_eq!(refusals(&folder), [(what.to_owned(), "remove it here, or in line 3 of that file".to_owned())]);
}

#[test]
fn errors_of_a_settings_file_have_their_own_places() {
    let ours = with_settings("s.yaml", "{}");
    let large = format!("one: {}\n", "x".repeat(1 << 20));
    for (text, what, help) in [
        ("[", "s.yaml:", ""),
        (
            "- 1\n",
            "s.yaml:1:1: invalid settings: expected a map of names to values, found a list",
            "write `NAME: VALUE`",
        ),
        ("a: 1\nb: .inf\n", "s.yaml:2:4: invalid number: JSON cannot represent it", "put it in quotes"),
        ("a: 1\na: 2\n", "s.yaml:2:1: `a` is given twice", ""),
        (&large, "pattoo_wasm.yaml:6:22: the settings are too large: they have", "pass fewer or shorter settings"),
    ] {
        let folder = directory(&[("pattoo_wasm.yaml", &ours), ("s.yaml", text)]);
        let found = refusals(&folder);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0.starts_with(what) && found[0].1.contains(help), "{what}: {found:?}");
    }
    let folder = directory(&[("pattoo_wasm.yaml", &ours)]);
    assert!(
        refusals(&folder)[0].0.starts_with("pattoo_wasm.yaml:6:22: s.yaml: No such file"),
        "{:?}",
        refusals(&folder)
    );
}

#[test]
fn problem_of_a_settings_file_that_several_collectors_name_is_reported_once() {
    let item = |program| format!("    - {{ program: {program}, module: m, settings_file: s.yaml }}\n");
    let ours = format!("pattoo_wasm:\n  hostname: h\n  collectors:\n{}{}", item("A"), item("B"));
    let folder = directory(&[("pattoo_wasm.yaml", &ours), ("s.yaml", "[1]")]);
    assert_eq!(refusals(&folder).len(), 1, "{:?}", refusals(&folder));
}

#[test]
fn settings_file_that_others_can_change_is_refused_and_one_of_a_group_reported() {
    let folder = directory(&[("pattoo_wasm.yaml", &with_settings("s.yaml", "{}")), ("s.yaml", "a: 1\n")]);
    let path = folder.path().join("s.yaml");
    mode(&path, 0o666);
    let found = refusals(&folder);
    assert_eq!(found[0].0, "pattoo_wasm.yaml:6:22: s.yaml can be written by every user");
    assert!(found[0].1.ends_with("chmod o-w s.yaml"), "{found:?}");
    mode(&path, 0o644);
    assert_eq!(loaded(&folder).exposures(), []);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(0), Some(1)).unwrap();
        mode(&path, 0o664);
        let exposures = loaded(&folder).exposures();
        assert!(
            exposures.len() == 1 && exposures[0].what.ends_with("s.yaml can be written by the group 1"),
            "{exposures:?}"
        );
    }
}
