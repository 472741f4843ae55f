#!/usr/bin/env bash
# What `make install` puts into a prefix runs, reads and parses there, and `make uninstall` takes
# away again. TOOLS names a folder of binaries; by default those of `make build`.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${TOOLS:-${CARGO_TARGET_DIR:-target}/release}
[ -x "$tools/flops-count" ] || { echo "tests/install.sh: no tools in $tools: make build first" >&2; exit 2; }
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL PREFIX DESTDIR TOOLS
for variable in $(compgen -e CREAM_ || true); do unset "$variable"; done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "tests/install.sh: FAILED: $*" >&2
  exit 1
}
skipped=
# has PROGRAM: whether it is here to check with; what is not is named at the end.
has() { command -v "$1" >/dev/null || { [[ " $skipped " == *" $1 "* ]] || skipped+=" $1"; false; }; }

# make_here COMMAND: a prefix with a space in its name, below a folder that stands for the root.
make_here() { make --no-print-directory "$1" TOOLS="$tools" DESTDIR="$work/the root" PREFIX=/usr 2>"$work/log"; }
prefix="$work/the root/usr"

make_here install || fail "make install: $(cat "$work/log")"
names=$(cd tools && echo *)
[ "$(cd "$prefix/bin" && echo *)" = "$names" ] || fail "$(ls "$prefix/bin") is not $names"

# page FILE: the page is complete, and a formatter has nothing to say about it.
page() {
  local page=$1 section
  head -n 5 "$page" | grep -q '^\.TH [A-Z-]* 1 ' || fail "$page has no title"
  for section in NAME SYNOPSIS DESCRIPTION OPTIONS '"EXIT STATUS"' FILES '"SEE ALSO"'; do
    grep -qxF ".SH $section" "$page" || fail "$page has no section $section"
  done
  [ "$(grep -cx '\.nf' "$page")" = "$(grep -cx '\.fi' "$page")" ] || fail "$page: .nf without .fi"
  [ "$(grep -c '^\.RS' "$page")" = "$(grep -cx '\.RE' "$page")" ] || fail "$page: .RS without .RE"
  if has groff; then
    groff -man -Tutf8 -ww -z "$page" >"$work/said" 2>&1 || fail "groff: $(cat "$work/said")"
    [ ! -s "$work/said" ] || fail "groff: $(cat "$work/said")"
  fi
  if has mandoc; then
    mandoc -T lint -W error "$page" >"$work/said" 2>&1 || fail "mandoc: $(cat "$work/said")"
  fi
}

# documented NAME HELP: every flag that the help names is completed in every shell, and is in the page.
documented() {
  local name=$1 page=$prefix/share/man/man1/$1.1 flag
  page "$page"
  flags=$(grep -oE '^ +(-[A-Za-z], )?--[a-z-]+' <<<"$2" | grep -oE '[a-z][a-z-]+$')
  [ "$(wc -l <<<"$flags")" -ge 4 ] || fail "$name --help names these flags only: $flags"
  for flag in $flags; do
    grep -qe "--$flag\b" "$bash" || fail "$bash does not complete --$flag"
    grep -qe "--$flag\b" "$zsh" || fail "$zsh does not complete --$flag"
    grep -qe "-l $flag\b" "$fish" || fail "$fish does not complete --$flag"
    grep -qF -e "\\-\\-${flag//-/\\-}\\fR" "$page" || fail "no --$flag in the page of $name"
  done
}

# completed TOOL WORD...: what bash offers for the last word.
completed() {
  bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    "_${1//-/__}" "$1" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null; echo "${COMPREPLY[*]}"' bash "$bash" "$@"
}

for tool in $names; do
  binary=$prefix/bin/$tool
  version=$("$binary" --version) || fail "$tool --version"
  [[ $version =~ ^$tool\ [0-9]+\.[0-9]+\.[0-9]+(\ \([^\(\)]+\))?$ ]] || fail "$tool --version prints $version"
  help=$("$binary" --help) || fail "$tool --help"
  grep -q "^Usage: $tool " <<<"$help" || fail "$tool --help: $help"
  bash=$prefix/share/bash-completion/completions/$tool
  zsh=$prefix/share/zsh/site-functions/_$tool
  fish=$prefix/share/fish/vendor_completions.d/$tool.fish
  documented "$tool" "$help"
  # The commands that the help names, and no other, have pages.
  commands=$(sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' <<<"$help")
  for command in $commands; do
    help=$("$binary" "$command" --help) || fail "$tool $command --help"
    documented "$tool-$command" "$help"
    [[ $(completed "$tool" "$command" --) == *--help* ]] || fail "$bash does not complete the flags of $command"
    grep -q "^ *($command)$" "$zsh" || fail "$zsh does not complete $command"
    grep -q -- "-a \"$command\"" "$fish" || fail "$fish does not complete $command"
  done
  pages=$(cd "$prefix/share/man/man1" && ls | grep -cE "^$tool[.-]")
  [ "$pages" = $((1 + $(wc -w <<<"$commands"))) ] || fail "$tool: $pages pages, of these commands: $commands"
  bash -n "$bash" || fail "$bash does not parse"
  ! has zsh || zsh -n "$zsh" || fail "$zsh does not parse"
  ! has fish || fish --no-execute "$fish" || fail "$fish does not parse"
done

# The tools take the recipes from where they were put.
for recipe in search/sample retrain/sample search/imagenet retrain/287; do
  tool=arch-retrain
  [[ $recipe == retrain/* ]] || tool=supernet-train
  "$prefix/bin/$tool" --print-config --config "$prefix/share/cream/configs/$recipe.toml" >/dev/null ||
    fail "$tool does not take the installed $recipe.toml"
done
"$prefix/bin/flops-count" "$prefix"/share/cream/configs/arch/*.json >/dev/null || fail "installed architectures"

echo "mine" >"$prefix/share/cream/configs/search/mine.toml"
make_here uninstall || fail "make uninstall: $(cat "$work/log")"
left=$(cd "$prefix" && find . -type f)
[ "$left" = ./share/cream/configs/search/mine.toml ] || fail "make uninstall left, or took what is not its own: $left"
rm "$prefix/share/cream/configs/search/mine.toml"
make_here uninstall || fail "make uninstall again: $(cat "$work/log")"
[ ! -e "$prefix/share/cream" ] || fail "make uninstall left $(find "$prefix/share/cream")"

# A folder without tools changes nothing in the prefix.
! make --no-print-directory install TOOLS="$work" DESTDIR="$work/none" 2>"$work/log" || fail "installed no tools"
grep -q 'no such tool' "$work/log" || fail "$(cat "$work/log")"
[ ! -e "$work/none" ] || fail "a failed install left $(find "$work/none")"

echo "tests/install.sh: passed${skipped:+ (not here to check with:$skipped)}" >&2
