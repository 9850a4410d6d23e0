//! The script for bash, which splits words at `=` and `:` before a script sees them: `--set optimizer.lr=0.1` has four.

use clap_complete::env;

use super::OwnScript;

/// Puts the words together again, and cuts from the answers what bash keeps of the word.
const SCRIPT: &str = r#"_complete_NAME() {
    local IFS=$'\013' line=$COMP_LINE words=() word i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i > 0)) && [[ $line != [[:space:]]* ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        line=${line#"${line%%[![:space:]]*}"}
        line=${line#"$word"}
    done
    local current=${words[${#words[@]} - 1]} breaks=${COMP_WORDBREAKS//[^=:]/} kept=
    if [[ $breaks && $current == *["$breaks"]* ]]; then
        kept=${current%"${current##*["$breaks"]}"}
    fi
    COMPREPLY=($(
        _CLAP_IFS="$IFS" _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) VARIABLE=bash \
            PROGRAM -- "${words[@]}"
    )) || COMPREPLY=()
    for i in "${!COMPREPLY[@]}"; do
        COMPREPLY[i]=${COMPREPLY[i]#"$kept"}
    done
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace
    fi
}
complete -o bashdefault -o nosort -F _complete_NAME BINARY 2> /dev/null ||
    complete -o bashdefault -F _complete_NAME BINARY
"#;

/// Bash, with a script of its own.
pub(super) const BASH: OwnScript = OwnScript { name: "bash", script: SCRIPT, answers: &env::Bash };
