//! What clap cannot know at compile time, and what the manual promises.

use super::*;
use clap::CommandFactory;

#[test]
fn the_commands_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_says_what_it_does() {
    fn check(command: &clap::Command) {
        assert!(command.get_about().is_some(), "{} has no description", command.get_name());
        for argument in command.get_arguments() {
            let described = argument.get_help().is_some() || argument.is_hide_set();
            let name = argument.get_id();
            assert!(described, "{} {name} has no description", command.get_name());
        }
        command.get_subcommands().for_each(check);
    }
    check(&Cli::command());
}

#[test]
fn every_command_shows_an_example() {
    fn check(path: &str, command: &mut clap::Command) {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            let commands = command.get_subcommands_mut().filter(|one| one.get_name() != "help");
            commands.for_each(|one| check(&path, one));
            return;
        }
        let help = command.render_help().to_string();
        let (usage, rest) = help.split_once("Usage:").unwrap();
        let below = rest.split_once('\n').unwrap().1;
        let words = [usage, below].concat().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&path), "`{path} --help` shows no example:\n{help}");
    }
    // Built, so that the commands know the global arguments as they do when they run.
    let mut command = Cli::command();
    command.build();
    let commands = command.get_subcommands_mut().filter(|one| one.get_name() != "help");
    commands.for_each(|one| check("kerbholz", one));
}

/// An example that is wrapped is two commands when it is copied, and a paragraph that was broken by
/// hand is broken twice.
#[test]
fn examples_fit_their_lines_and_paragraphs_are_left_to_the_terminal() {
    fn check(path: &str, command: &clap::Command) {
        let path = format!("{path} {}", command.get_name());
        command.get_subcommands().for_each(|one| check(&path, one));
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for (line, next) in help.lines().zip(help.lines().skip(1).chain([""])) {
            let is_example = |line: &str| line.starts_with("  ");
            assert!(!is_example(line) || line.len() <= 100, "{path}: too long: {line}");
            let broken = [line, next].iter().all(|line| !line.is_empty() && !is_example(line));
            assert!(!broken, "{path}: broken by hand: {line}");
        }
    }
    let command = Cli::command();
    for name in ["avoided", "export", "footprint", "restatement", "upkeep"] {
        check("kerbholz", command.find_subcommand(name).unwrap());
    }
}

#[test]
fn the_help_documents_the_exit_codes() {
    let help = Cli::command().render_help().to_string();
    let codes = "Exit codes: 0 done, 1 failed for another reason, 2 wrong usage, 3 rejected by the ledger,\n\
                 4 no authority reached or no answer in time, 5 verification failed, 6 a file or data directory,\n\
                 7 the network has activated a protocol version that this program does not know.";
    assert!(help.contains(codes), "{help}");
    let codes = [
        error::OTHER,
        error::USAGE,
        error::REJECTED,
        error::UNREACHABLE,
        error::UNVERIFIED,
        error::FILE,
        error::OUTDATED,
    ];
    assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn the_manual_names_every_command() {
    let manual = include_str!("../../../docs/cli.md");
    fn check(path: &str, command: &clap::Command, manual: &str) {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            command.get_subcommands().for_each(|one| check(&path, one, manual));
        } else {
            assert!(manual.contains(&path), "docs/cli.md does not mention `{path}`");
        }
    }
    Cli::command().get_subcommands().for_each(|one| check("kerbholz", one, manual));
}

#[test]
fn completions_can_be_made() {
    let mut script = Vec::new();
    clap_complete::generate(
        clap_complete::Shell::Bash,
        &mut Cli::command(),
        "kerbholz",
        &mut script,
    );
    assert!(String::from_utf8(script).unwrap().contains("footprint"));
}
