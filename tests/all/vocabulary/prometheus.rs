//! A real Prometheus that scrapes the program and judges it by the rules of this repository, at a pace for stories.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::mirrorball::{Mirrorball, unused_address};
use super::network::{is_there, skip};
use super::patience::passes;
use super::web::Web;

/// Beside those of other stories, on a machine that may be busy.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// How long what fires has to stay what it is.
const STAYS_FOR: Duration = Duration::from_secs(3);
/// Whether media is late says more of the machine that stories run on than of the story, unless that is about it.
const OF_THE_MACHINE: &str = "MirrorballLate";
const CONFIG: &str = "prometheus.yml";

/// A rule, as it was read.
pub struct Rule {
    pub name: String,
    pub query: String,
    /// `ok` once it was evaluated.
    pub health: String,
}

/// One that scrapes each second, and keeps what it knows in a directory of its own.
pub struct Prometheus {
    address: SocketAddr,
    child: Child,
    directory: TempDir,
}

impl Prometheus {
    /// It scrapes the program from now on. `None`, and said so: there is none on this machine.
    pub fn watching(mirrorball: &Mirrorball, story: &str) -> Option<Self> {
        if !is_there("prometheus") {
            skip(story, "prometheus is not installed");
            return None;
        }
        let (directory, address) = (TempDir::new().expect("a directory"), unused_address());
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/mirrorball-rules.yml");
        let rules = fs::read_to_string(rules).expect("the rules of this repository");
        let file = |name: &str| directory.path().join(name);
        fs::write(file("rules.yml"), hurried(&rules)).expect("a file");
        fs::write(file(CONFIG), config(&format!("\"{}\"", mirrorball.admin))).expect("a file");
        let option = |name: &str, value: &Path| format!("--{name}={}", value.display());
        let child = Command::new("prometheus")
            .arg(option("config.file", &file(CONFIG)))
            .arg(option("storage.tsdb.path", &file("data")))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("prometheus starts");
        let prometheus = Self { address, child, directory };
        let has_scraped = || {
            let told = prometheus.ask("query?query=up==1");
            told.is_ok_and(|told| told["result"].as_array().is_some_and(|up| !up.is_empty()))
        };
        assert!(passes(STARTS_WITHIN, has_scraped), "Prometheus has scraped the program");
        Some(prometheus)
    }

    /// Its config names nothing to scrape any more.
    pub fn lose_its_target(&self) {
        fs::write(self.directory.path().join(CONFIG), config("")).expect("a file");
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGHUP).expect("it is ours");
    }

    /// What an expression amounts to now, as Prometheus tells it.
    ///
    /// # Errors
    /// It is none, or can not be evaluated.
    pub fn query(&self, expression: &str) -> Result<Value, String> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
        self.ask(&format!("query?query={encoded}"))
    }

    /// All that it has scraped or made, by name.
    pub fn names(&self) -> BTreeSet<String> {
        let names = self.ask("label/__name__/values").expect("it knows some");
        let names = names.as_array().expect("a list").iter();
        names.map(|name| name.as_str().expect("a name").to_owned()).collect()
    }

    /// All rules that it goes by.
    pub fn rules(&self) -> Vec<Rule> {
        let told = self.ask("rules").expect("it tells");
        let groups = told["groups"].as_array().expect("a list").iter();
        let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
        let read = |rule: &Value| {
            let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
            Rule { name: text("name"), query: text("query"), health: text("health") }
        };
        rules.map(read).collect()
    }

    /// Waits until it has nothing to say.
    #[track_caller]
    pub fn expect_rest(&self) {
        let mut last = BTreeSet::new();
        let rests = passes(Duration::from_secs(20), || {
            last = self.alerts("");
            last.is_empty()
        });
        assert!(rests, "without a fault: {last:?}");
    }

    /// Waits until this alert fires and no other one does, or is about to; and that none begins to for a while. `provoke` is done
    /// again and again meanwhile.
    #[track_caller]
    pub fn expect_alone(&self, alert: &str, mut provoke: impl FnMut()) {
        let own = format!("{alert} firing");
        let (mut last, alone) = (BTreeSet::new(), BTreeSet::from([own.clone()]));
        let mut look = || {
            provoke();
            self.alerts(alert)
        };
        let fires = passes(Duration::from_secs(60), || {
            last = look();
            last == alone
        });
        assert!(fires, "{alert} is to fire, and no other one: {last:?}");
        let others = passes(STAYS_FOR, || {
            last = look();
            last.iter().any(|told| told.ends_with(" firing") && *told != own)
        });
        assert!(!others, "{alert} is to fire alone: {last:?}");
    }

    /// The alerts that fire or are about to, by name, with what tells those of one name apart. A story is about this one.
    fn alerts(&self, wanted: &str) -> BTreeSet<String> {
        let told = self.ask("alerts").expect("it tells");
        let alerts = told["alerts"].as_array().expect("a list").iter();
        let said = alerts.map(|alert| {
            let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
            let place = ["where", "limit"].map(label).concat();
            let what = if place.is_empty() {
                label("alertname")
            } else {
                format!("{}: {place}", label("alertname"))
            };
            format!("{what} {}", alert["state"].as_str().unwrap_or_default())
        });
        said.filter(|said| wanted == OF_THE_MACHINE || !said.starts_with(OF_THE_MACHINE)).collect()
    }

    /// Asks its API. HTTP/1.0, so that all comes whole and the connection ends.
    fn ask(&self, what: &str) -> Result<Value, String> {
        let request = format!("GET /api/v1/{what} HTTP/1.0\r\nHost: prometheus\r\n\r\n");
        let told = Web::try_told(self.address, &request).map_err(|error| error.to_string())?;
        let (_, body) = told.split_once("\r\n\r\n").ok_or("no answer")?;
        let answer: Value = serde_json::from_str(body).map_err(|error| format!("{error}: {body}"))?;
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(body.to_owned()) }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// To scrape these.
fn config(targets: &str) -> String {
    format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 500ms }}\n\
         rule_files: [rules.yml]\n\
         scrape_configs: [{{ job_name: mirrorball, static_configs: [{{ targets: [{targets}] }}] }}]\n"
    )
}

/// The same rules for who has no minutes: what is looked back over, and for how long it has to be so, are seconds.
fn hurried(rules: &str) -> String {
    let spans = [("[2m]", "[10s]"), ("[5m]", "[10s]"), ("[15m]", "[20s]")];
    let rules = spans.iter().fold(rules.to_owned(), |rules, (long, short)| rules.replace(long, short));
    let line = |line: &str| match line.trim_start().strip_prefix("for: ") {
        Some(span) if span != "0s" => {
            format!("{}for: 2s\n", &line[..line.len() - line.trim_start().len()])
        }
        _ => format!("{line}\n"),
    };
    rules.lines().map(line).collect()
}
