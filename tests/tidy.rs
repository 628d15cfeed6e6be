//! Holds the house in order: which floor imports which, how long a file is, where `unsafe` may be, and
//! that code, documentation and deployment files name the same keys and metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mirrorball::ops::config::{Config, KEYS};

/// What each floor may import, besides itself. Floors that are not here do not exist.
const FLOORS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("net", &[]),
    ("event", &["net"]),
    ("relay", &["wire", "net", "event"]),
    ("storage", &["wire", "net", "event", "relay"]),
    ("ingest", &["wire", "net", "event", "relay"]),
    ("serve", &["wire", "net", "event", "relay", "storage"]),
    ("ops", &["wire", "net", "event", "relay", "storage", "ingest", "serve"]),
    ("tools", &["wire", "net", "event", "relay", "storage", "ingest", "serve", "ops"]),
];

/// Lines of code a file may have; its trailing test modules are not counted.
const FILE_LINES: usize = 400;

#[test]
fn a_floor_imports_only_floors_below() {
    let mut found = Findings::default();
    for file in Source::all() {
        let Some(floor) = file.floor() else { continue };
        let Some((_, below)) = FLOORS.iter().find(|(name, _)| *name == floor) else {
            found.add(
                &file,
                1,
                &format!("`{floor}` is no floor; move it into one, or draw a floor in tests/tidy.rs"),
            );
            continue;
        };
        for (line, imported) in file.imports() {
            if imported != floor && !below.contains(&imported.as_str()) && is_floor(&imported) {
                let remedy = "move the code up, or let the upper floor pass in what is needed";
                found.add(
                    &file,
                    line,
                    &format!("`{floor}` imports `{imported}`, which is not below it; {remedy}"),
                );
            }
        }
    }
    found.assert_none();
}

/// None imports one that, by whatever way, imports it. The same holds for the rooms of a floor.
#[test]
fn files_of_a_floor_do_not_go_in_circles() {
    let mut found = Findings::default();
    for (floor, _) in FLOORS {
        let files: Vec<_> = Source::all()
            .into_iter()
            .filter(|file| file.floor() == Some(floor) && !file.is_tests())
            .collect();
        let mut neighbours = BTreeMap::<String, (BTreeSet<String>, &Source)>::new();
        for file in &files {
            for (place, neighbour) in file.neighbours() {
                neighbours.entry(place).or_insert_with(|| (BTreeSet::new(), file)).0.insert(neighbour);
            }
        }
        for (place, (_, file)) in &neighbours {
            let (mut reached, mut next) = (BTreeSet::new(), vec![place.clone()]);
            while let Some(place) = next.pop() {
                let nearest = neighbours.get(&place).map(|(nearest, _)| nearest.iter());
                let new = nearest.into_iter().flatten().filter(|place| reached.insert((*place).clone()));
                next.extend(new.cloned());
            }
            if reached.contains(place) {
                let remedy = "move what both need to a file below";
                found.add(file, 1, &format!("`{place}` imports itself by way of its neighbours; {remedy}"));
            }
        }
    }
    found.assert_none();
}

#[test]
fn no_file_is_longer_than_a_sitting() {
    let mut found = Findings::default();
    for file in Source::all().into_iter().filter(|file| !file.is_tests()) {
        let lines = file.lines_besides_tests();
        if lines > FILE_LINES {
            let remedy = format!("split it by what its parts know; {FILE_LINES} is the most");
            found.add(&file, FILE_LINES, &format!("{lines} lines besides tests; {remedy}"));
        }
    }
    found.assert_none();
}

#[test]
fn unsafe_has_one_room() {
    let mut found = Findings::default();
    for file in Source::all().into_iter().filter(|file| file.floor() != Some("net")) {
        for line in file.lines_with_word("unsafe") {
            found.add(&file, line, "`unsafe` outside src/net; move the call there, behind a safe function");
        }
    }
    found.assert_none();
}

#[test]
fn every_file_says_what_it_is() {
    let mut found = Findings::default();
    for file in Source::all().into_iter().filter(|file| !file.text.starts_with("//!")) {
        found.add(&file, 1, "does not open with `//!`; say what the file is and what it does not know");
    }
    found.assert_none();
}

#[test]
fn nothing_is_left_for_later() {
    let mut found = Findings::default();
    for file in Source::all() {
        for left in ["todo!", "unimplemented!", "dbg!"] {
            for line in file.lines_with_word(left) {
                found.add(&file, line, &format!("`{left}` is left in the code; write what is meant"));
            }
        }
    }
    found.assert_none();
}

#[test]
fn every_metric_is_documented() {
    let mut found = Findings::default();
    let documented = Page::read("docs/metrics.md").table_names();
    for file in Source::all() {
        for (line, metric) in
            file.metrics().into_iter().filter(|(_, metric)| !documented.contains_key(metric))
        {
            found.add(&file, line, &format!("`{metric}` is not in docs/metrics.md; add its row there"));
        }
    }
    found.assert_none();
}

#[test]
fn every_documented_metric_exists() {
    const PAGE: &str = "docs/metrics.md";
    let mut found = Findings::default();
    let named: BTreeSet<_> =
        Source::all().iter().flat_map(Source::metrics).map(|(_, metric)| metric).collect();
    for (metric, line) in Page::read(PAGE).table_names().iter().filter(|(metric, _)| !named.contains(*metric))
    {
        found.add_at(PAGE, *line, &format!("`{metric}` is in no source file; drop the row, or export it"));
    }
    found.assert_none();
}

#[test]
fn dashboards_ask_for_metrics_that_exist() {
    let mut found = Findings::default();
    let documented = Page::read("docs/metrics.md").table_names();
    for path in files_under("dashboards") {
        let page = Page::read(path.to_str().expect("our file names are UTF-8"));
        for (line, metric) in page.metrics() {
            let series = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| metric.strip_suffix(suffix));
            if !documented.contains_key(&metric) && !series.is_some_and(|name| documented.contains_key(name))
            {
                found.add_at(
                    &page.path,
                    line,
                    &format!("`{metric}` is not in docs/metrics.md; mend the query"),
                );
            }
        }
    }
    found.assert_none();
}

/// Whoever is woken by one finds what to do, and may trust that it fires.
#[test]
fn every_alert_has_its_runbook_and_its_test() {
    const RULES: &str = "dashboards/mirrorball-rules.yml";
    let mut found = Findings::default();
    let (runbooks, tests) =
        (Page::read("docs/alerts.md"), Page::read("dashboards/mirrorball-rules.test.yml"));
    let mut alerts = BTreeSet::new();
    let mut alert = "";
    let rules = Page::read(RULES);
    for (line, text) in rules.text.lines().enumerate() {
        if let Some(name) = text.trim_start().strip_prefix("- alert: ") {
            alert = name;
            alerts.insert(name);
            if !runbooks.has_heading(&name.to_lowercase()) {
                found.add_at(
                    RULES,
                    line + 1,
                    &format!("docs/alerts.md has no heading {name}; write its runbook"),
                );
            }
            if !tests.text.contains(&format!("alertname=\"{name}\"")) {
                found.add_at(
                    RULES,
                    line + 1,
                    &format!("{name} fires in no test; write one in {}", tests.path),
                );
            }
        }
        let runbook = text.trim_start().strip_prefix("runbook_url: ");
        if runbook.is_some_and(|url| url != format!("docs/alerts.md#{}", alert.to_lowercase())) {
            found.add_at(RULES, line + 1, &format!("the runbook of {alert} is another one's; mend the link"));
        }
    }
    assert!(alerts.len() > 10, "{RULES}: {alerts:?}");
    for (line, text) in runbooks.text.lines().enumerate() {
        let named =
            text.strip_prefix("## Mirrorball").filter(|name| !alerts.contains(&*format!("Mirrorball{name}")));
        if named.is_some() {
            found.add_at(&runbooks.path, line + 1, &format!("`{text}` is no alert; drop it"));
        }
    }
    found.assert_none();
}

#[test]
fn panels_of_dashboards_lie_side_by_side() {
    let mut found = Findings::default();
    for path in files_under("dashboards").into_iter().filter(|path| path.extension() == Some("json".as_ref()))
    {
        let Page { path, text } = Page::read(path.to_str().expect("our file names are UTF-8"));
        let dashboard: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}; mend the JSON"));
        let (mut ids, mut places) = (BTreeSet::new(), BTreeMap::new());
        for panel in dashboard["panels"].as_array().expect("a dashboard has panels") {
            let (id, title) = (panel["id"].as_u64(), panel["title"].as_str().unwrap_or_default());
            if id.is_none() || !ids.insert(id) {
                found.add_at(
                    &path,
                    1,
                    &format!("the id of \"{title}\" is not its own; count on from the largest"),
                );
            }
            let side = |name: &str| panel["gridPos"][name].as_u64().expect("a panel has a place");
            let cells = (side("y")..side("y") + side("h"))
                .flat_map(|y| (side("x")..side("x") + side("w")).map(move |x| (y, x)));
            let taken = cells.filter_map(|cell| places.insert(cell, title)).next();
            if let Some(other) = taken {
                found.add_at(&path, 1, &format!("\"{title}\" lies on \"{other}\"; move it"));
            }
        }
    }
    found.assert_none();
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut found = Findings::default();
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from);
    let pages = top.into_iter().chain(files_under("docs"));
    for path in pages.filter(|path| path.extension().is_some_and(|ext| ext == "md")) {
        let page = Page::read(path.to_str().expect("our file names are UTF-8"));
        for (line, link) in page.links().into_iter().filter(|(_, link)| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = path.parent().unwrap_or(Path::new(""));
            let target = if file.is_empty() { path.clone() } else { folder.join(file) };
            if !root().join(&target).exists() {
                found.add_at(&page.path, line, &format!("`{link}` is no file; mend the link"));
            } else if !heading.is_empty()
                && !Page::read(target.to_str().expect("our file names are UTF-8")).has_heading(heading)
            {
                found.add_at(&page.path, line, &format!("`{link}` is no heading there; mend the link"));
            }
        }
    }
    found.assert_none();
}

#[test]
fn what_pages_quote_of_the_log_is_said_there() {
    let mut found = Findings::default();
    // A line of the log may be several of code.
    let code: String = Source::all().iter().map(|file| without_breaks(&file.uncommented)).collect();
    for path in files_under("docs") {
        let page = Page::read(path.to_str().expect("our file names are UTF-8"));
        for (line, quoted) in page.quoted_from_the_log() {
            let said = quoted.split(['…', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
            let mut said = said.map(without_breaks).filter(|part| part.len() > 1);
            if !said.all(|part| code.contains(&part)) {
                found.add_at(&page.path, line, &format!("no line of the log says `{quoted}`; quote one"));
            }
        }
    }
    found.assert_none();
}

#[test]
fn files_and_options_that_pages_name_exist() {
    let mut found = Findings::default();
    let scripts = ["benches/fanout.sh", "benches/storm.sh"].map(|script| Page::read(script).text).concat();
    for path in files_under("docs").into_iter().chain([PathBuf::from("README.md")]) {
        let page = Page::read(path.to_str().expect("our file names are UTF-8"));
        for (line, quoted) in page.quotes() {
            if ["src/", "tests/", "benches/", "deploy/"].iter().any(|folder| quoted.starts_with(folder)) {
                let file = quoted.split_whitespace().next().unwrap_or_default();
                if !root().join(file).exists() {
                    found.add_at(&page.path, line, &format!("`{file}` is no file; name one"));
                }
            }
            if !quoted.contains("fanout.sh ") {
                continue;
            }
            let options = quoted.split_whitespace().filter(|word| word.starts_with("--"));
            for option in options.filter(|option| !scripts.contains(&format!("{option})"))) {
                found.add_at(&page.path, line, &format!("fanout.sh has no option `{option}`; name one"));
            }
        }
    }
    found.assert_none();
}

/// Who reads what is promised is to find the test that holds it, and the counter that tells.
#[test]
fn tests_and_counters_that_promises_name_exist() {
    const PAGE: &str = "docs/security.md";
    let mut found = Findings::default();
    let page = Page::read(PAGE);
    let files = ["src", "tests"].into_iter().flat_map(files_under);
    let code: String =
        files.map(|path| Page::read(path.to_str().expect("our file names are UTF-8")).text).collect();
    let is_of_name = |byte: u8| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut named = 0;
    for (line, row) in page.text.lines().enumerate().filter(|(_, text)| text.starts_with("| ")) {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let names = last.split('`').skip(1).step_by(2).filter(|name| name.bytes().all(is_of_name));
        for name in names.filter(|name| name.contains('_') && !name.starts_with("mirrorball_")) {
            named += 1;
            if !code.contains(&format!("fn {name}()")) {
                found.add_at(PAGE, line + 1, &format!("`{name}` is no test; name one"));
            }
        }
    }
    assert!(named > 20, "{PAGE}: {named} tests are named; the tables have them in their last column");
    let documented = Page::read("docs/metrics.md").table_names();
    for (line, metric) in page.metrics().into_iter().filter(|(_, metric)| !documented.contains_key(metric)) {
        found.add_at(PAGE, line, &format!("`{metric}` is not in docs/metrics.md; name one"));
    }
    found.assert_none();
}

#[test]
fn every_config_key_is_documented_and_every_documented_key_exists() {
    const PAGE: &str = "docs/configuration.md";
    let mut found = Findings::default();
    let page = Page::read(PAGE);
    for section in KEYS {
        let heading = if section.repeated {
            format!("## [[{}]]", section.name)
        } else {
            format!("## [{}]", section.name)
        };
        let Some((line, body)) = page.section(&heading) else {
            found.add_at(
                PAGE,
                1,
                &format!("has no heading `{heading}`; describe the section's keys under one"),
            );
            continue;
        };
        let documented = Page { path: PAGE.into(), text: body }.table_names();
        for key in section.keys.iter().filter(|key| !documented.contains_key(key.name)) {
            found.add_at(PAGE, line, &format!("`{}` has no row under `{heading}`; add it", key.name));
        }
        for (name, below) in &documented {
            if !section.keys.iter().any(|key| key.name == name) {
                found.add_at(PAGE, line + below, &format!("`{name}` is no key of `{heading}`; drop the row"));
            }
        }
    }
    found.assert_none();
}

#[test]
fn the_example_config_is_right_and_shows_every_key() {
    const EXAMPLE: &str = "deploy/mirrorball.example.toml";
    let config = Config::load(&root().join(EXAMPLE)).unwrap_or_else(|error| panic!("{error}"));
    assert!(!config.channels.is_empty(), "{EXAMPLE}: shows no channel; add one");
    let text = Page::read(EXAMPLE).text;
    let keys = KEYS.iter().flat_map(|section| section.keys);
    let missing: Vec<_> =
        keys.map(|key| key.name).filter(|key| !text.contains(&format!("{key} = "))).collect();
    assert!(
        missing.is_empty(),
        "{EXAMPLE}: does not show {missing:?}; add them, commented out where not needed"
    );
}

#[test]
fn what_packages_and_containers_begin_with_is_right() {
    for config in ["mirrorball.toml", "compose/mirrorball/mirrorball.toml", "kubernetes/edge/mirrorball.toml"]
    {
        let loaded = Config::load(&root().join("deploy").join(config));
        assert!(loaded.unwrap_or_else(|error| panic!("{error}")).channels.is_empty(), "{config}");
    }
}

#[test]
fn the_changelog_has_a_place_for_what_comes_next() {
    let page = Page::read("CHANGELOG.md");
    let first = page.text.lines().find(|line| line.starts_with("## "));
    assert_eq!(first, Some("## [Unreleased]"), "CHANGELOG.md: its first section must be `## [Unreleased]`");
}

#[test]
fn the_readme_says_the_commands_that_ci_runs() {
    let page = Page::read("README.md");
    for command in ["cargo run --release -- demo", "cargo test"] {
        assert!(
            page.text.lines().any(|line| line == command),
            "README.md: no line `{command}`; say it as it stands"
        );
    }
}

/// What is out of order, as `file:line: what; what to do`.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, file: &Source, line: usize, text: &str) {
        self.add_at(&file.path, line, text);
    }

    fn add_at(&mut self, path: &str, line: usize, text: &str) {
        self.0.push(format!("{path}:{line}: {text}"));
    }

    #[track_caller]
    fn assert_none(self) {
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}

/// A file under `src/`.
struct Source {
    /// Relative to the repository, with slashes.
    path: String,
    text: String,
    /// The text with comments, strings and characters blanked; lines stay where they were.
    code: String,
    /// The text with comments alone blanked.
    uncommented: String,
}

impl Source {
    fn all() -> Vec<Self> {
        let files =
            files_under("src").into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
        let sources: Vec<_> = files.map(|path| Self::read(&path)).collect();
        assert!(!sources.is_empty(), "src: no source files found");
        sources
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(root().join(path))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::new(path.to_str().expect("our file names are UTF-8"), text)
    }

    fn new(path: &str, text: String) -> Self {
        let (code, uncommented) = (blank(&text, true), blank(&text, false));
        Self { path: path.to_owned(), text, code, uncommented }
    }

    /// The directory under `src/`, or the module that a file there is. The crate's two roots are on none.
    fn floor(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let first = inside.split('/').next()?;
        (!matches!(inside, "lib.rs" | "main.rs")).then(|| first.trim_end_matches(".rs"))
    }

    /// The path of the file's module: `src/ops/config/load.rs` is `ops::config::load`.
    fn module(&self) -> Vec<&str> {
        let inside = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inside.trim_end_matches("/mod").split('/').collect()
    }

    /// A file that is nothing but a test module of its neighbour.
    fn is_tests(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs"))
    }

    /// The top modules that the file names, by `crate::…` or by enough of `super::…`, with their lines.
    fn imports(&self) -> Vec<(usize, String)> {
        let words = words(&self.code);
        let mut imports = Vec::new();
        for (at, (line, word)) in words.iter().enumerate() {
            let after = match *word {
                "crate" | "mirrorball" => at + 1,
                "super" if at == 0 || words[at - 1].1 != "::" => {
                    let supers =
                        words[at..].iter().step_by(2).take_while(|(_, word)| *word == "super").count();
                    if supers < self.module().len() {
                        continue;
                    }
                    at + 2 * supers - 1
                }
                _ => continue,
            };
            if words.get(after).is_some_and(|(_, word)| *word == "::") {
                imports.extend(heads(&words[after + 1..]).into_iter().map(|head| (*line, head.to_owned())));
            }
        }
        imports
    }

    /// What stands beside it, or beside a room that it is in, and that the file names by `super::…`: the place that is
    /// beside it, and its own, as paths under `src/`.
    fn neighbours(&self) -> BTreeSet<(String, String)> {
        let (words, module) = (words(&self.code), self.module());
        let mut neighbours = BTreeSet::new();
        for at in
            (0..words.len()).filter(|at| words[*at].1 == "super" && (*at == 0 || words[*at - 1].1 != "::"))
        {
            let supers = words[at..].iter().step_by(2).take_while(|(_, word)| *word == "super").count();
            if supers >= module.len() || words.get(at + 2 * supers - 1).is_none_or(|(_, word)| *word != "::")
            {
                continue;
            }
            let (folder, own) = (module[..module.len() - supers].join("/"), module[module.len() - supers]);
            let named = heads(&words[at + 2 * supers..]).into_iter().filter(|head| *head != own);
            neighbours.extend(named.map(|head| (format!("{folder}/{own}"), format!("{folder}/{head}"))));
        }
        neighbours
    }

    fn lines_with_word(&self, wanted: &str) -> Vec<usize> {
        let word = wanted.trim_end_matches('!');
        let words = words(&self.code);
        let followed =
            |at: usize| !wanted.ends_with('!') || words.get(at + 1).is_some_and(|(_, next)| *next == "!");
        let hits = words.iter().enumerate().filter(|(at, (_, found))| *found == word && followed(*at));
        hits.map(|(_, (line, _))| *line).collect()
    }

    /// The lines outside of `#[cfg(test)] mod …` and its like.
    fn lines_besides_tests(&self) -> usize {
        let mut lines = self.code.lines().peekable();
        let mut count = 0;
        while let Some(line) = lines.next() {
            let test_only = line.starts_with("#[cfg(") && (line.contains("test") || line.contains("model"));
            if test_only && lines.peek().is_some_and(|next| next.starts_with("mod ")) {
                let header = lines.next().expect("peeked just now");
                if !header.ends_with(';') {
                    lines.by_ref().find(|line| *line == "}");
                }
            } else {
                count += 1;
            }
        }
        count
    }

    /// The metrics that the code names; what tests say of them does not count.
    fn metrics(&self) -> Vec<(usize, String)> {
        let besides_tests = self.uncommented.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
        if self.is_tests() { Vec::new() } else { metrics_in(besides_tests) }
    }
}

/// A text that is not code.
struct Page {
    path: String,
    text: String,
}

impl Page {
    fn read(path: &str) -> Self {
        let text =
            fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}; write it"));
        Self { path: path.to_owned(), text }
    }

    /// The names in code quotes that open a table's rows, with their lines. A quoted value is no name.
    fn table_names(&self) -> BTreeMap<String, usize> {
        let name = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
        let rows = self.text.lines().enumerate().filter_map(|(at, line)| Some((name(line)?, at + 1)));
        rows.filter(|(name, _)| name.chars().all(is_name_character)).collect()
    }

    /// The lines under a heading up to the next of its rank, and where they begin.
    fn section(&self, heading: &str) -> Option<(usize, String)> {
        let at = self.text.lines().position(|line| line == heading)?;
        let body = self.text.lines().skip(at + 1).take_while(|line| !line.starts_with("## "));
        Some((at + 1, body.collect::<Vec<_>>().join("\n")))
    }

    fn metrics(&self) -> Vec<(usize, String)> {
        metrics_in(&self.text)
    }

    /// Where the page's links lead, with their lines.
    fn links(&self) -> Vec<(usize, &str)> {
        let lines = self.text.lines().enumerate();
        let of_line = |line| str::split(line, "](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
        lines.flat_map(|(at, line)| of_line(line).map(move |link| (at + 1, link))).collect()
    }

    /// What stands in code quotes, with the line that it begins in. It may go on in the next.
    fn quotes(&self) -> Vec<(usize, &str)> {
        let mut line = 1;
        let parts = self.text.split('`').enumerate().filter_map(|(place, part)| {
            let at = line;
            line += part.matches('\n').count();
            (place % 2 == 1 && !part.is_empty()).then_some((at, part))
        });
        parts.collect()
    }

    /// What is quoted right behind "the log says".
    fn quoted_from_the_log(&self) -> Vec<(usize, &str)> {
        let behind = self.text.match_indices("log says").filter_map(|(at, says)| {
            let rest = self.text[at + says.len()..].trim_start().strip_prefix('`')?;
            let line = self.text[..at].matches('\n').count() + 1;
            Some((line, rest.split_once('`')?.0))
        });
        behind.collect()
    }

    /// Whether a link to `#anchor` finds a heading: in small letters, hyphens for spaces, without punctuation.
    fn has_heading(&self, anchor: &str) -> bool {
        let headings = self.text.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-")).any(
            |heading| {
                let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_');
                heading.chars().filter(kept).eq(anchor.chars())
            },
        )
    }
}

fn without_breaks(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '\\').collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_floor(name: &str) -> bool {
    FLOORS.iter().any(|(floor, _)| *floor == name)
}

/// All files below a directory of the repository, in order, relative to the repository.
fn files_under(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(directory)).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("{directory}: {error}"));
        let path = format!("{directory}/{}", entry.file_name().to_str().expect("our file names are UTF-8"));
        if entry.path().is_dir() { files.extend(files_under(&path)) } else { files.push(path.into()) }
    }
    files.sort();
    files
}

/// Of a metric's or a config key's name.
fn is_name_character(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
}

/// Every `mirrorball_…` name with its line. A name that ends in `_` is a prefix and none.
fn metrics_in(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let names = line
            .split(|c| !is_name_character(c))
            .filter(|word| word.starts_with("mirrorball_") && !word.ends_with('_'));
        found.extend(names.map(|name| (at + 1, name.to_owned())));
    }
    found
}

/// The first names of a path or of each path in braces: `a::b` is `a`, `{a::b, c}` is `a`, `c`.
fn heads<'t>(words: &[(usize, &'t str)]) -> Vec<&'t str> {
    let Some((_, first)) = words.first() else { return Vec::new() };
    if *first != "{" {
        return vec![first];
    }
    let (mut heads, mut depth, mut at_head) = (Vec::new(), 0, false);
    for (_, word) in words {
        match *word {
            "{" => (depth, at_head) = (depth + 1, depth == 0),
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            "," => at_head = depth == 1,
            word if at_head => {
                heads.push(word);
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

/// Names, `::` and single other marks, each with its line from 1.
fn words(code: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    for (at, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                c if c.is_alphanumeric() || c == '_' => {
                    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
                }
                ':' if rest.starts_with("::") => 2,
                c => c.len_utf8(),
            };
            words.push((at + 1, &rest[..length]));
            rest = rest[length..].trim_start();
        }
    }
    words
}

/// The text with comments, and with `strings` strings and characters too, turned to spaces.
fn blank(text: &str, strings: bool) -> String {
    let mut blanked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, hide) = match token_length(rest) {
            Some((length, Hidden::Comment)) => (length, true),
            Some((length, Hidden::Literal)) => (length, strings),
            None => (plain_length(rest, first), false),
        };
        let (token, after) = rest.split_at(length);
        if hide {
            blanked.extend(token.chars().map(|c| if c == '\n' { c } else { ' ' }));
        } else {
            blanked.push_str(token);
        }
        rest = after;
    }
    blanked
}

enum Hidden {
    Comment,
    Literal,
}

/// The length of the comment, string or character that the text begins with.
fn token_length(text: &str) -> Option<(usize, Hidden)> {
    if text.starts_with("//") {
        return Some((text.find('\n').unwrap_or(text.len()), Hidden::Comment));
    }
    if text.starts_with("/*") {
        return Some((block_comment_length(text), Hidden::Comment));
    }
    let raw = text.strip_prefix('r').filter(|after| after.trim_start_matches('#').starts_with('"'));
    if let Some(after) = raw {
        let marks = after.len() - after.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(marks));
        let body = 1 + marks + 1;
        let end = text[body..].find(&close).map_or(text.len(), |at| body + at + close.len());
        return Some((end, Hidden::Literal));
    }
    if let Some(after) = text.strip_prefix('"') {
        return Some((1 + escaped_length(after, '"'), Hidden::Literal));
    }
    let mut after_quote = text.strip_prefix('\'')?.chars();
    let (first, second) = (after_quote.next()?, after_quote.next()?);
    let is_char = first == '\\' || second == '\''; // a lifetime otherwise
    is_char.then(|| (1 + escaped_length(&text[1..], '\''), Hidden::Literal))
}

/// The length up to and with the closing mark, past escapes.
fn escaped_length(text: &str, close: char) -> usize {
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        if c == '\\' {
            characters.next();
        } else if c == close {
            return at + 1;
        }
    }
    text.len()
}

fn block_comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match text.get(at..at + 2) {
            Some("/*") => (depth, at) = (depth + 1, at + 2),
            Some("*/") if depth == 1 => return at + 2,
            Some("*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    text.len()
}

/// A whole name, or one character, so that the `r` that ends a name opens no raw string.
fn plain_length(text: &str, first: char) -> usize {
    if !(first.is_alphanumeric() || first == '_') {
        return first.len_utf8();
    }
    let name = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let prefix = &text[..name];
    // `b"…"`, `c"…"` and `br"…"` begin with a letter of their own.
    if matches!(prefix, "br" | "cr") { 1 } else { name }
}

mod itself {
    use super::*;

    #[test]
    fn it_sees_imports_by_every_path() {
        let text = "use crate::net;\nuse crate::{event::Poller, serve::{a, b}, relay};\n\
                    fn f() { super::super::ingest::g(); super::own(); crate::ops::h() } // crate::wire\n";
        let imports = Source::new("src/wire/rtp.rs", text.into()).imports();
        let expected = [(1, "net"), (2, "event"), (2, "serve"), (2, "relay"), (3, "ingest"), (3, "ops")];
        assert_eq!(imports, expected.map(|(line, name)| (line, name.to_owned())));
    }

    #[test]
    fn it_sees_neighbours_and_not_what_is_further_off() {
        let text = "use super::ring::Ring;\nuse super::{lane, beat::Beat};\nuse super::super::net;\nuse crate::wire;\n";
        let neighbours = Source::new("src/relay/flow.rs", text.into()).neighbours();
        let of_flow = |name| ("relay/flow".to_owned(), format!("relay/{name}"));
        assert_eq!(neighbours, ["ring", "lane", "beat"].map(of_flow).into());
        let text = "use super::session::Session;\nuse super::super::{media::Way, stats};\n";
        let neighbours = Source::new("src/serve/rtsp/setup.rs", text.into()).neighbours();
        let expected = [
            ("serve/rtsp/setup", "serve/rtsp/session"),
            ("serve/rtsp", "serve/media"),
            ("serve/rtsp", "serve/stats"),
        ];
        assert_eq!(neighbours, expected.map(|(own, other)| (own.to_owned(), other.to_owned())).into());
    }

    #[test]
    fn it_tells_code_from_comments_and_strings() {
        let text = "let a = \"unsafe \\\" unsafe\"; // unsafe\nlet b = r#\"unsafe \" unsafe\"#; /* unsafe /* unsafe */ */\n\
                    let c = ('\"', 'x', '\\''); fn f<'a>() { unsafe {} }\nlet d = b\"unsafe\"; #![deny(unsafe_code)]\n";
        assert_eq!(Source::new("src/a.rs", text.into()).lines_with_word("unsafe"), [3]);
        assert_eq!(Source::new("src/a.rs", "todo!();\nlet todo = 1;\n".into()).lines_with_word("todo!"), [1]);
    }

    #[test]
    fn it_does_not_count_tests() {
        let text = "//! A.\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n\n#[cfg(test)]\nmod more;\nfn c() {}\n";
        assert_eq!(Source::new("src/a.rs", text.into()).lines_besides_tests(), 5);
    }

    #[test]
    fn it_finds_metrics_in_strings_alone() {
        let text = "// mirrorball_gone\nlet a = \"mirrorball_sessions\"; let b = \"mirrorball_\";\n";
        let metrics = Source::new("src/a.rs", text.into()).metrics();
        assert_eq!(metrics, [(2, "mirrorball_sessions".to_owned())]);
    }
}
