# How recipes are run, in every makefile here: a command that fails ends its recipe, and a recipe that fails leaves no
# target.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
