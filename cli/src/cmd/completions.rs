//! `cheque completions`: tab completion for a shell.

use clap::{Args, Command};
use clap_complete::Shell;
use eyre::Result;
use serde_json::json;

use crate::output::Output;

/// Print the completion script of a shell
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque completions bash > ~/.local/share/bash-completion/completions/cheque
  cheque completions zsh > ~/.zfunc/_cheque
  cheque completions fish > ~/.config/fish/completions/cheque.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

impl CompletionsArgs {
    /// `command` is the whole command line of the program.
    pub(crate) fn run(&self, mut command: Command, out: &Output) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "cheque", &mut script);
        let script = String::from_utf8(script)?;
        out.result(
            &json!({ "shell": self.shell.to_string(), "script": script }),
            || script.clone(),
        )
    }
}
