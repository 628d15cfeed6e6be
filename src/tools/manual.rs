//! The man pages and what shells complete by, made from the one definition of the command line. Packages hold them.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::cli::Cli;

/// Writes `mirrorball.1`, and a page for each command.
pub fn write_pages(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Cli::command(), directory)
}

/// What `shell` completes by.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mirrorball", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;
    use std::collections::BTreeSet;

    fn commands() -> Vec<String> {
        let commands = Cli::command();
        let shown = commands.get_subcommands().filter(|command| !command.is_hide_set());
        shown.map(|command| command.get_name().to_owned()).collect()
    }

    #[test]
    fn every_command_has_a_page_that_says_its_exit_codes() {
        let directory = tempfile::tempdir().expect("a directory");
        let pages = directory.path().join("man1");
        write_pages(&pages).expect("it can be written");
        let found = fs::read_dir(&pages).expect("written").map(|entry| entry.expect("an entry").file_name());
        let found: BTreeSet<_> = found.map(|name| name.into_string().expect("our names are UTF-8")).collect();
        for name in commands() {
            assert!(found.contains(&format!("mirrorball-{name}.1")), "{name} in {found:?}");
        }
        let page = fs::read_to_string(pages.join("mirrorball.1")).expect("the page of all");
        assert!(page.starts_with(".ie") && page.contains("mirrorball\\-serve(1)"), "{page}");
        assert!(page.contains("Exit codes") && page.contains("wrong config"), "{page}");
    }

    #[test]
    fn every_shell_completes_every_command() {
        for shell in Shell::value_variants() {
            let script = completions(*shell);
            for name in commands() {
                assert!(script.contains(&name), "{name} in what {shell} completes by");
            }
        }
    }
}
