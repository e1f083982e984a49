# Completion of the awaitscope command for bash: words come from the program's own --help, so that they are always those it takes.

_awaitscope()
{
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]-} words

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		words=$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z]*\)  .*/\1/p')
		mapfile -t COMPREPLY < <(compgen -W "$words --help --version" -- "$word")
	elif [[ $word == -* ]]; then
		words=$("$program" "$command" --help 2>/dev/null | grep -o -e '^  *\(-[a-zA-Z], \)*--[a-z-]*' | grep -o -e '--[a-z-]*')
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	elif [ "$command" = rules ]; then
		words=$("$program" rules 2>/dev/null | grep -o '^ *AS[0-9]*')
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}
complete -o filenames -F _awaitscope awaitscope
