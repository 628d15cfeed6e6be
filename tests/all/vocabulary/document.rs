//! Tables of the documents that stories fill. Each story compares what it found with what stands there; with `UPDATE_DOCS=1` what it
//! found is written there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::patience::say;

/// A table in a document, between `<!-- NAME -->` and `<!-- /NAME -->`.
pub struct Table {
    file: PathBuf,
    begin: String,
    end: String,
}

/// A document with its table apart.
struct Page {
    before: String,
    block: String,
    after: String,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What tells it from others.
    pub name: String,
    /// What is another on another machine, and not compared.
    pub version: Option<String>,
    pub cells: Vec<String>,
}

impl Table {
    pub fn of(document: &str, name: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
        Self { file, begin: format!("<!-- {name} -->\n"), end: format!("<!-- /{name} -->\n") }
    }

    /// The row of that name, as it stands.
    pub fn row(&self, name: &str, has_version: bool) -> Option<Row> {
        self.read().row(name, has_version)
    }

    /// These rows, with notes below them, are what stands there, but for their versions.
    #[track_caller]
    pub fn expect(&self, head: &[&str], rows: &[Row], notes: &[String]) {
        static ONE_BY_ONE: Mutex<()> = Mutex::new(());
        let _turn = ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (page, block) = (self.read(), render(head, rows, notes));
        if std::env::var("UPDATE_DOCS").is_ok_and(|value| value == "1") {
            let text = [page.before.as_str(), &self.begin, &block, &self.end, &page.after].concat();
            fs::write(&self.file, text).expect("a document that may be written");
            return say(&format!("written: {}", self.file.display()));
        }
        let as_here = |row: &Row| {
            let stands = page.row(&row.name, row.version.is_some());
            Row { version: stands.and_then(|row| row.version), ..row.clone() }
        };
        let expected = render(head, &rows.iter().map(as_here).collect::<Vec<_>>(), notes);
        assert!(
            expected == page.block,
            "{} does not say what was found. Look at it, and with UPDATE_DOCS=1 it is written:\n{block}",
            self.file.display()
        );
    }

    fn read(&self) -> Page {
        let text = fs::read_to_string(&self.file).expect("a document");
        let (before, rest) = text.split_once(&self.begin).expect("the place of the table");
        let (block, after) = rest.split_once(&self.end).expect("the end of the table");
        Page { before: before.to_owned(), block: block.to_owned(), after: after.to_owned() }
    }
}

impl Page {
    fn row(&self, name: &str, has_version: bool) -> Option<Row> {
        self.block.lines().filter_map(|line| Row::read(line, has_version)).find(|row| row.name == name)
    }
}

impl Row {
    fn read(line: &str, has_version: bool) -> Option<Self> {
        let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let mut cells = line.split(" | ").map(str::to_owned);
        let name = cells.next()?;
        let version = if has_version { cells.next() } else { None };
        Some(Self { name, version, cells: cells.collect() })
    }
}

fn render(head: &[&str], rows: &[Row], notes: &[String]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut block = line(head.to_vec()) + &"|---".repeat(head.len()) + "|\n";
    for row in rows {
        let cells = [row.name.as_str()].into_iter().chain(row.version.as_deref());
        block.push_str(&line(cells.chain(row.cells.iter().map(String::as_str)).collect()));
    }
    if !notes.is_empty() {
        block.push('\n');
    }
    notes.iter().for_each(|note| block.push_str(&format!("{note}\n")));
    block
}
