//! What tests need to hold the program to giving everything back. Linux tells it in `/proc`.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use std::{env, fs};

use super::clock;

const ALONE: &str = "MIRRORBALL_TEST_ALONE";
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `story`, the whole of the test called `name`, in a process that runs no other test beside it.
pub fn in_a_process_of_its_own(name: &str, story: impl FnOnce()) {
    in_a_process_with_stderr(name, Stdio::piped(), story);
}

/// The same, with its stderr going there.
pub fn in_a_process_with_stderr(name: &str, stderr: impl Into<Stdio>, story: impl FnOnce()) {
    if env::var_os(ALONE).is_some() {
        return story();
    }
    let mut child = Command::new(env::current_exe().expect("a running test has a file"));
    let child =
        child.args(["--exact", name, "--test-threads=1", "--nocapture"]).env(ALONE, "1").stderr(stderr);
    let output = child.output().expect("the test's own file can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "no test is called {name}: {text}");
}

/// What the calling thread runs at (proc_pid_stat(5), field 19).
pub fn niceness() -> i32 {
    let stat = fs::read_to_string("/proc/thread-self/stat").expect("Linux");
    let (_, from_the_third) = stat.rsplit_once(") ").expect("a name in parentheses");
    from_the_third.split(' ').nth(16).and_then(|field| field.parse().ok()).expect("a number")
}

/// Threads and descriptors of this process.
#[derive(Debug, PartialEq, Eq)]
pub struct Holdings {
    threads: usize,
    descriptors: Vec<String>,
}

impl Holdings {
    /// As they are now.
    pub fn now() -> Self {
        let list = |directory| fs::read_dir(directory).expect("Linux").flatten();
        let targets = list("/proc/self/fd").filter_map(|entry| fs::read_link(entry.path()).ok());
        let mut descriptors: Vec<_> = targets.map(|target| kind(&target.to_string_lossy())).collect();
        descriptors.sort();
        Self { threads: list("/proc/self/task").count(), descriptors }
    }

    /// Holds that they are the same again. A joined thread is listed for a moment more, so this waits.
    pub fn expect_again(&self) {
        let began = clock::now();
        while Self::now() != *self && began.elapsed() < PATIENCE {
            thread::yield_now();
        }
        assert_eq!(Self::now(), *self);
    }
}

/// `socket:[4711]` is `socket`; the directory that is being listed is left as it is.
fn kind(target: &str) -> String {
    target.split(":[").next().unwrap_or_default().to_owned()
}
