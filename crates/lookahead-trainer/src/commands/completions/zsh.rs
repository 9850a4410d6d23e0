//! The script for zsh, which puts a space after each answer: here not after `KEY=` and a folder's slash, where the word
//! continues.

use clap_complete::env;

use super::OwnScript;

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
pub(super) const ZSH: OwnScript = OwnScript { name: "zsh", script: SCRIPT, answers: &env::Zsh };
