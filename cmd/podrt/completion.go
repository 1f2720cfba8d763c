package main

import (
	"fmt"
	"io"
	"strings"
)

func completionCommand() *command {
	return &command{
		name:  "completion",
		usage: "print the completion of command lines for a shell",
		args: `bash|zsh|fish

Prints a function for the shell that completes verbs, flags, their values, ids
of containers and names of pods. It asks podrt itself, so that it is never out
of date. Where "make install" has not put it into place:

    bash    source <(podrt completion bash)
    zsh     podrt completion zsh > "${fpath[1]}/_podrt"
    fish    podrt completion fish > ~/.config/fish/completions/podrt.fish`,
		min: 1, max: 1,
		run: func(e *env, args []string) error {
			var script string
			switch args[0] {
			case "bash":
				script = bashCompletion
			case "zsh":
				script = zshCompletion
			case "fish":
				script = fishCompletion
			default:
				return &usageError{fmt.Errorf("shell %q: must be bash, zsh or fish", args[0])}
			}
			script = strings.ReplaceAll(script, "PROG", e.prog)
			_, err := io.WriteString(e.stdout, script)
			return err
		},
	}
}

// Nothing that was typed is evaluated: what stands in $() or behind ~name is
// not completed.
const bashCompletion = `# bash completion for PROG                                 -*- shell-script -*-

_PROG() {
	local line=${COMP_LINE:0:COMP_POINT} word kind text about
	local -a words=()
	# Bash splits at = and : as well; what has no space between belongs together.
	for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
		text=${line#"${line%%[![:space:]]*}"}
		if [[ ${#words[@]} -eq 0 || $text != "$line" ]]; then
			words+=("")
		fi
		word=${text:0:${#word}}
		line=${text:${#word}}
		if [[ $word == "~/"* ]]; then
			word=$HOME${word:1}
		fi
		words[-1]+=${word//[\\\"\']/}
	done
	if [[ -n $line ]]; then
		words+=("")
	fi
	local cur=${words[-1]} lead=
	{
		read -r kind
		while IFS=$'\t' read -r text about; do
			COMPREPLY+=("$text")
		done
	} < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
	# What replaces the word is only what comes after the last break.
	if [[ $cur == -*=* && $COMP_WORDBREAKS == *=* ]]; then
		lead=${cur%%=*}=
	elif [[ $cur == *:* && $COMP_WORDBREAKS == *:* && -z $kind ]]; then
		lead=${cur%:*}:
	fi
	COMPREPLY=("${COMPREPLY[@]#"$lead"}")
	case $kind in
	files)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "${cur#"$lead"}")
		;;
	directories)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "${cur#"$lead"}")
		;;
	esac
}
complete -F _PROG PROG
`

const zshCompletion = `#compdef PROG

_PROG() {
	local kind line
	local -a lines words_
	lines=("${(@f)$("${(Q)words[1]/#\~\//$HOME/}" __complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
	kind=$lines[1]
	shift lines
	case $kind in
	files|directories)
		if [[ $PREFIX == -*=* ]]; then
			compset -P '*='
		fi
		if [[ $kind == files ]]; then
			_files
		else
			_files -/
		fi
		return
		;;
	esac
	for line in $lines; do
		# _describe takes the first colon for the end of the word.
		words_+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
	done
	_describe -V PROG words_
}

if [[ $funcstack[1] == _PROG ]]; then
	_PROG "$@"
else
	compdef _PROG PROG
fi
`

const fishCompletion = `# fish completion for PROG

function __PROG_complete
	set -l line (commandline -opc)
	set -l prog (string replace -r '^~/' "$HOME/" -- $line[1])
	set -l cur (commandline -ct | string unescape)
	set -l lines ($prog __complete -- $line[2..] "$cur" 2>/dev/null)
	switch "$lines[1]"
		case files
			__fish_complete_path "$cur"
		case directories
			__fish_complete_directories "$cur"
		case '*'
			printf '%s\n' $lines[2..]
	end
end

complete -c PROG -f -a '(__PROG_complete)'
`
