# zsh -f complete.zsh DIR LINE...: what zsh with the function DIR/_podrt offers
# for each line when the tab key is pressed. DIR/out is how the zsh that is typed
# into tells; "---" ends what it has to say.
zmodload zsh/zpty
dir=$1
shift
mkfifo $dir/out
cat >$dir/setup.zsh <<'END'
PROMPT=
fpath=($dir $fpath)
autoload -Uz compinit && compinit -u -d $dir/dump
unsetopt list_beep
exec 9>$dir/out
compadd() {
	if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
		builtin compadd "$@"
		return
	fi
	local -a hits
	builtin compadd -A hits "$@"
	print -rlu 9 -- $hits
}
ready() { print -u 9 -- ---; }
zle -N zle-line-init ready
press_tab() { zle complete-word; BUFFER=; ready; }
zle -N press_tab
bindkey '^I' press_tab
END
zpty z dir=$dir zsh -f -i
zpty -w z "source $dir/setup.zsh"
exec 8<$dir/out
until_ready() {
	local reply
	while IFS= read -r -u 8 reply && [[ $reply != --- ]]; do
		print -r -- $reply
	done
}
until_ready
for line; do
	print -r -- "== $line"
	zpty -w -n z "$line"$'\t'
	until_ready
done
zpty -d z
