//! The man page of a tool: synopsis and options from its arguments, the rest from its long help, and
//! the sections that all tools share.

use std::io::{self, Write};

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// Every page refers to the others.
const TOOLS: [&str; 6] =
    ["imagenet-prep", "supernet-train", "path-export", "flops-count", "arch-retrain", "evaluate"];

/// Writes the page of a built tool, section 1, as man(7) source; or that of one of its commands.
pub fn render(tool: &Command, command: Option<&Command>, out: &mut dyn Write) -> io::Result<()> {
    let shown = command.unwrap_or(tool);
    let name = shown.get_display_name().unwrap_or_else(|| shown.get_name()).to_owned();
    let version = tool.get_version().unwrap_or_default();
    // No date: it would be that of the build, and make two builds of one commit differ.
    writeln!(out, ".TH {} 1 \"\" \"Cream {version}\" \"Cream Manual\"", name.to_uppercase())?;
    let man = Man::new(shown.clone());
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    description(shown).to_writer(out)?;
    man.render_options_section(out)?;
    if shown.has_subcommands() {
        man.render_subcommands_section(out)?;
    }
    notes(shown).to_writer(out)?;
    exit_status(shown).to_writer(out)?;
    environment(shown).to_writer(out)?;
    files().to_writer(out)?;
    see_also(tool, &name).to_writer(out)
}

/// The long help, without a first paragraph that the name section has already.
fn description(tool: &Command) -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["DESCRIPTION"]);
    let about = tool.get_about().map(ToString::to_string).unwrap_or_default();
    let long = tool.get_long_about().map_or_else(|| about.clone(), ToString::to_string);
    body(&mut page, long.strip_prefix(&format!("{about}.\n\n")).unwrap_or(&long));
    page
}

/// What the long help ends with: under its own heading if its first line is a word with a colon.
fn notes(tool: &Command) -> Roff {
    let mut page = Roff::new();
    let Some(text) = tool.get_after_long_help().map(ToString::to_string) else { return page };
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    match first.strip_suffix(':').filter(|word| !word.contains(' ')) {
        Some(word) => {
            page.control("SH", [word.to_uppercase().as_str()]);
            body(&mut page, rest);
        }
        None => {
            page.control("SH", ["NOTES"]);
            body(&mut page, &text);
        }
    }
    page
}

/// Paragraphs are filled; lines that begin with spaces are commands and tables, and stay as they are.
fn body(page: &mut Roff, text: &str) {
    let mut literal = false;
    let mut begun = false;
    for line in text.lines() {
        let indented = line.starts_with("  ");
        if literal && !indented {
            page.control("fi", []).control("RE", []);
        } else if indented && !literal {
            page.control("RS", ["4"]).control("nf", []);
        }
        literal = indented;
        if line.trim().is_empty() {
            // A paragraph macro at a section's start has nothing to part.
            if begun {
                page.control("PP", []);
            }
            continue;
        }
        begun = true;
        page.text([roman(if indented { &line[2..] } else { line })]);
    }
    if literal {
        page.control("fi", []).control("RE", []);
    }
}

fn exit_status(tool: &Command) -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["EXIT STATUS"]);
    let mut status = |number: &str, meaning: &str| {
        page.control("TP", []).text([bold(number)]).text([roman(meaning)]);
    };
    status("0", "Done.");
    status("1", "The run failed; standard error says why, in one line.");
    status("2", "The command line, a setting or an input was wrong; standard error says which.");
    if has_flag(tool, "stop-after") {
        status("75", "Stopped by --stop-after with work left; run the same command to go on.");
        status(
            "130, 143",
            "Stopped by SIGINT or SIGTERM, after the step and a checkpoint. A second signal stops at once.",
        );
    }
    page
}

/// Tools with recipes take their settings from variables as well.
fn environment(tool: &Command) -> Roff {
    let mut page = Roff::new();
    if !has_flag(tool, "config") {
        return page;
    }
    page.control("SH", ["ENVIRONMENT"]);
    page.control("TP", []).text([bold("CREAM_"), roman("SETTING")]);
    page.text([roman(
        "Value of a setting whose flag is not given: the flag's name in capitals, with _ for each -, \
         such as CREAM_SEED=1. Before the file given with --config. An empty value counts as unset. \
         --print-config shows every setting with its value and where that came from.",
    )]);
    page
}

fn files() -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["FILES"]).control("TP", []).text([bold("../share/cream/configs")]);
    page.text([roman(
        "Beside the folder of the tools: recipes for --config (search, retrain), search spaces (space) \
         and published networks (arch).",
    )]);
    page
}

/// The tool's commands, whose pages refer to the tool, then the other tools.
fn see_also(tool: &Command, name: &str) -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["SEE ALSO"]);
    let commands = tool.get_subcommands();
    let commands = commands.map(|command| format!("{}-{}", tool.get_name(), command.get_name()));
    let mut words = Vec::new();
    let all = TOOLS.into_iter().filter(|other| *other != tool.get_name()).map(str::to_owned);
    let all = std::iter::once(tool.get_name().to_owned()).chain(commands).chain(all);
    for other in all.filter(|other| other != name) {
        if !words.is_empty() {
            words.push(roman(", "));
        }
        words.extend([bold(other), roman("(1)")]);
    }
    page.text(words);
    page
}

fn has_flag(tool: &Command, name: &str) -> bool {
    tool.get_arguments().any(|argument| argument.get_long() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    fn page(tool: Command) -> String {
        page_of(tool, None)
    }

    fn page_of(mut tool: Command, command: Option<&str>) -> String {
        let mut text = Vec::new();
        tool.build();
        let command = command.map(|name| tool.find_subcommand(name).unwrap());
        render(&tool, command, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn tool() -> Command {
        Command::new("evaluate").version("1").about("Score it")
    }

    fn sections(page: &str) -> Vec<&str> {
        page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect()
    }

    #[test]
    fn text_is_filled_and_indented_lines_stay_as_they_are() {
        let long = "Score it.\n\nMore:\n  a  b\n  .c\n\nLast.\n  'd";
        let page = page(tool().long_about(long));
        let (_, body) = page.split_once(".SH DESCRIPTION\n").unwrap();
        let (body, _) = body.split_once(".ie").unwrap();
        let expected =
            "More:\n.RS 4\n.nf\na  b\n\\&.c\n.fi\n.RE\n.PP\nLast.\n.RS 4\n.nf\n\\*(Aqd\n.fi\n.RE\n";
        assert_eq!(body, expected);
    }

    #[test]
    fn sections_are_those_that_apply() {
        let shared = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "\"EXIT STATUS\"",
            "FILES",
            "\"SEE ALSO\"",
        ];
        let plain = page(tool());
        assert_eq!(sections(&plain), shared);
        assert!(!plain.contains("stop") && plain.contains("\\fBflops\\-count\\fR(1)"), "{plain}");
        assert!(!plain.contains("\\fBevaluate\\fR(1)"), "{plain}");

        let flags = ["config", "stop-after"].map(|name| Arg::new(name).long(name));
        let trainer = page(tool().args(flags).after_long_help("Examples:\n  evaluate"));
        let sections = sections(&trainer);
        assert!(
            sections.contains(&"EXAMPLES") && sections.contains(&"ENVIRONMENT"),
            "{sections:?}"
        );
        assert!(
            trainer.contains("\\fB75\\fR") && trainer.contains("\\fB130, 143\\fR"),
            "{trainer}"
        );
    }

    #[test]
    fn a_command_has_a_page_of_its_own() {
        let look = Command::new("look").about("Look at it").arg(Arg::new("far").long("far"));
        let tool = || tool().subcommand(look.clone()).disable_help_subcommand(true);
        let whole = page_of(tool(), None);
        assert!(sections(&whole).contains(&"SUBCOMMANDS"), "{whole}");
        assert!(whole.contains("evaluate\\-look(1)") && !whole.contains("far"), "{whole}");
        let part = page_of(tool(), Some("look"));
        assert!(part.starts_with(".TH EVALUATE-LOOK 1 \"\" \"Cream 1\""), "{part}");
        assert!(part.contains("evaluate\\-look \\- Look at it"), "{part}");
        assert!(part.contains("\\fBevaluate look\\fR") && part.contains("far"), "{part}");
        let (_, also) = part.split_once("\"SEE ALSO\"").unwrap();
        assert!(also.contains("\\fBevaluate\\fR(1), \\fBimagenet"), "{also}");
    }
}
