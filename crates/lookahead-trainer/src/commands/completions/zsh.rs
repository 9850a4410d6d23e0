//! The script for zsh, which puts a space after each answer: here not after `KEY=` and a folder's slash, where the word
//! continues.

use std::ffi::OsString;
use std::io::{Result, Write};
use std::path::Path;

use clap::Command;
use clap_complete::env::{self, EnvCompleter};

/// An answer is a word, or `WORD:HELP` with a backslash before each colon of the word.
const SCRIPT: &str = r#"#compdef BINARY
_complete_NAME() {
    local answers=("${(@f)$(
        _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((CURRENT - 1)) VARIABLE=zsh \
            PROGRAM -- "${words[@]}" 2> /dev/null
    )}")
    local -a whole=() begun=()
    local answer
    for answer in $answers; do
        case ${answer%%:*} in
            (*[=/]) begun+=("$answer") ;;
            (*) whole+=("$answer") ;;
        esac
    done
    [[ -n $begun ]] && _describe -V values begun -S ''
    [[ -n $whole ]] && _describe -V values whole
}
compdef _complete_NAME BINARY
"#;

/// Zsh, with a script of its own.
#[derive(Debug)]
pub(super) struct Zsh;

impl EnvCompleter for Zsh {
    fn name(&self) -> &'static str {
        "zsh"
    }

    fn is(&self, name: &str) -> bool {
        name == "zsh"
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        binary: &str,
        program: &str,
        script: &mut dyn Write,
    ) -> Result<()> {
        super::write_script(SCRIPT, [variable, name, binary, program], script)
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        answer: &mut dyn Write,
    ) -> Result<()> {
        env::Zsh.write_complete(command, words, folder, answer)
    }
}
