//! Reading the command line, and printing what is generated from its definition.

use std::ffi::OsString;
use std::{env, process};

use clap::builder::EnumValueParser;
use clap::{Arg, ArgMatches, Command, Parser};
use clap_complete::Shell;

use crate::{Failure, OrFail, man_page, write_stdout};

const COMPLETIONS: &str = "completions";
const MAN: &str = "man";

/// Reads the command line as `A::parse` does: `--help` and `--version` end the process.
///
/// Two more flags end it, which packagers call once and which `--help` therefore leaves out:
/// `--completions SHELL` prints completions for `bash`, `zsh` or `fish`, and `--man` prints the man
/// page, `--man COMMAND` that of one of the tool's commands. Each stands alone, without the arguments
/// that the tool otherwise requires.
///
/// # Errors
/// [`Failure::Input`] for what is wrong with it, on one line; [`Failure::Run`] when standard output cannot be written.
pub fn parse<A: Parser>() -> Result<A, Failure> {
    let words: Vec<OsString> = env::args_os().collect();
    if !asks_to_generate(&words) {
        return A::try_parse_from(words).map_err(|error| {
            if !error.use_stderr() {
                error.exit();
            }
            Failure::input(one_line(&error))
        });
    }
    let matches = generators().get_matches_from(words);
    write_stdout(generate(A::command(), &matches)?)?;
    process::exit(0);
}

/// What clap says over several paragraphs, but for the usage: `--help` has that.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let said: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .map(|line| line.strip_prefix("error: ").unwrap_or(line))
        .collect();
    format!("{}; see --help", said.join(" "))
}

/// Whether the first flag is one of the two.
fn asks_to_generate(words: &[OsString]) -> bool {
    let flag = words.get(1).and_then(|word| word.to_str()).and_then(|word| word.strip_prefix("--"));
    flag.and_then(|flag| flag.split('=').next())
        .is_some_and(|name| [COMPLETIONS, MAN].contains(&name))
}

/// A command with these two flags alone: a group of arguments that the tool requires cannot be lifted.
fn generators() -> Command {
    let shells = EnumValueParser::<Shell>::new();
    let generator = |name| Arg::new(name).long(name).exclusive(true);
    // Usage shows the name that the tool was called by.
    Command::new("tool")
        .arg(generator(COMPLETIONS).value_name("SHELL").value_parser(shells))
        .arg(generator(MAN).value_name("COMMAND").num_args(0..=1).default_missing_value(""))
}

/// What the flag asks for, made from the tool's own definition.
fn generate(mut tool: Command, matches: &ArgMatches) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    if let Some(&shell) = matches.get_one::<Shell>(COMPLETIONS) {
        let name = tool.get_name().to_owned();
        clap_complete::generate(shell, &mut tool, &name, &mut text);
        return Ok(if shell == Shell::Bash { mended(text, &name) } else { text });
    }
    tool.build();
    let name = matches.get_one::<String>(MAN).filter(|name| !name.is_empty());
    let command =
        name.map(|name| tool.find_subcommand(name).ok_or_else(|| no_command(&tool, name)));
    man_page::render(&tool, command.transpose()?, &mut text).or_run()?;
    Ok(text)
}

/// In bash's completions clap_complete 4.6 calls a command of a tool whose name has a hyphen one thing where
/// it recognises it and another where it completes it, and so completes nothing.
fn mended(text: Vec<u8>, name: &str) -> Vec<u8> {
    let (set, looked_for) = (name.replace('-', "__"), name.replace('-', "__subcmd__"));
    String::from_utf8_lossy(&text).replace(&looked_for, &set).into_bytes()
}

fn no_command(tool: &Command, name: &str) -> Failure {
    let known: Vec<&str> = tool.get_subcommands().map(Command::get_name).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Failure::input(format!("--man: no command {name}; there are: {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{ArgGroup, CommandFactory};

    #[derive(Debug, Parser)]
    #[command(name = "tool", version = "1", about = "Does it")]
    #[command(group = ArgGroup::new("what").args(["first", "second"]).required(true))]
    struct Args {
        /// What to work on
        #[arg(long, value_name = "A")]
        first: Option<String>,
        /// What else
        #[arg(long, value_name = "B")]
        second: Option<String>,
        /// How often
        times: u32,
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn what_is_wrong_is_said_on_one_line() {
        let said = |line: &str| one_line(&Args::try_parse_from(words(line)).unwrap_err());
        assert!(said("tool --frist a 3").contains("unexpected argument '--frist' found"));
        assert!(said("tool --frist a 3").contains("'--first'"), "{}", said("tool --frist a 3"));
        let missing = said("tool --first a");
        assert!(missing.contains("required arguments were not provided: <TIMES>"), "{missing}");
        let wrong = said("tool --first a many");
        assert!(wrong.contains("invalid value 'many' for '<TIMES>'"), "{wrong}");
        for text in [said("tool --frist a 3"), missing, wrong] {
            assert!(text.ends_with("; see --help") && !text.contains('\n'), "{text}");
            assert!(!text.contains("Usage") && !text.starts_with("error"), "{text}");
        }
    }

    fn generated(line: &str) -> Result<String, clap::Error> {
        assert!(asks_to_generate(&words(line)), "{line}");
        let matches = generators().try_get_matches_from(words(line))?;
        Ok(String::from_utf8(generate(Args::command(), &matches).unwrap()).unwrap())
    }

    #[test]
    fn only_a_leading_flag_asks_to_generate() {
        for line in ["tool", "tool 3", "tool 3 --man", "tool --manual", "tool man", "tool -- --man"]
        {
            assert!(!asks_to_generate(&words(line)), "{line}");
        }
    }

    #[test]
    fn completions_know_the_flags_of_the_tool_and_only_those() {
        for shell in ["bash", "zsh", "fish"] {
            let text = generated(&format!("tool --completions {shell}")).unwrap();
            assert!(text.contains("second") && !text.contains("completions"), "{text}");
        }
        assert!(generated("tool --completions=bash").is_ok());
    }

    #[test]
    fn a_command_s_flags_are_completed_under_the_name_that_it_is_recognised_by() {
        let look = Command::new("look").arg(Arg::new("far").long("far"));
        let tool = Command::new("my-tool").subcommand(look);
        let matches = generators().get_matches_from(words("tool --completions bash"));
        let text = String::from_utf8(generate(tool, &matches).unwrap()).unwrap();
        let name = "my__tool__subcmd__look";
        assert!(text.contains(&format!("cmd=\"{name}\"")), "{text}");
        let (_, case) = text.split_once(&format!("        {name})\n")).expect(&text);
        assert!(case.lines().next().unwrap().contains(" --far "), "{case}");
    }

    #[test]
    fn the_man_page_is_the_tool_s() {
        let page = generated("tool --man").unwrap();
        assert!(page.contains("tool \\- Does it") && page.contains("How often"), "{page}");
    }

    #[test]
    fn a_page_of_no_command_is_refused() {
        let matches = generators().get_matches_from(words("tool --man look"));
        let failure = generate(Args::command(), &matches).unwrap_err();
        assert_eq!(failure.status(), 2);
        assert_eq!(failure.error().to_string(), "--man: no command look; there are: none");
    }

    #[test]
    fn the_generators_stand_alone() {
        for line in [
            "tool --man 3 4",
            "tool --completions none",
            "tool --completions",
            "tool --man --completions zsh",
        ] {
            assert_eq!(generated(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
