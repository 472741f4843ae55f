# Tools, man pages, completions and recipes into a prefix, and out of it again.

PREFIX ?= /usr/local
TOOL_NAMES := $(sort $(notdir $(wildcard tools/*)))
# Commands of tools that have some, each with a page of its own.
COMMANDS := imagenet-prep-verify imagenet-prep-stats imagenet-prep-show evaluate-rank-correlation
RECIPES := $(sort $(wildcard configs/*/*.toml configs/*/*.json configs/*/*/*.json))

# Every file that is installed, from the prefix on.
INSTALLED := \
  $(TOOL_NAMES:%=bin/%) \
  $(TOOL_NAMES:%=share/man/man1/%.1) \
  $(COMMANDS:%=share/man/man1/%.1) \
  $(TOOL_NAMES:%=share/bash-completion/completions/%) \
  $(TOOL_NAMES:%=share/zsh/site-functions/_%) \
  $(TOOL_NAMES:%=share/fish/vendor_completions.d/%.fish) \
  $(RECIPES:%=share/cream/%)

.PHONY: install uninstall

# All of it is made aside first, so that a tool that does not run here leaves the prefix as it was.
install: | $(BUILD)
	@stage=$$(mktemp -d); trap 'rm -rf "$$stage"' EXIT; cd "$$stage"; \
	mkdir -p $(sort $(dir $(INSTALLED))); \
	for tool in $(TOOL_NAMES); do \
	  binary='$(abspath $(TOOLS))'/$$tool; \
	  [ -x "$$binary" ] || { echo "make: $$binary: no such tool; make build makes all" >&2; exit 2; }; \
	  cp "$$binary" bin/; \
	  "$$binary" --man >share/man/man1/$$tool.1; \
	  for command in $(COMMANDS); do \
	    case $$command in $$tool-*) "$$binary" --man "$${command#$$tool-}" >share/man/man1/$$command.1 ;; esac; \
	  done; \
	  "$$binary" --completions bash >share/bash-completion/completions/$$tool; \
	  "$$binary" --completions zsh >share/zsh/site-functions/_$$tool; \
	  "$$binary" --completions fish >share/fish/vendor_completions.d/$$tool.fish; \
	done; \
	for recipe in $(RECIPES); do cp '$(CURDIR)'/$$recipe share/cream/$$recipe; done; \
	prefix='$(DESTDIR)$(PREFIX)'; \
	case $$prefix in /*) ;; *) prefix='$(CURDIR)'/$$prefix ;; esac; \
	for file in $(INSTALLED); do \
	  case $$file in bin/*) mode=755 ;; *) mode=644 ;; esac; \
	  mkdir -p "$$prefix/$$(dirname $$file)"; \
	  install -m $$mode $$file "$$prefix/$$file"; \
	done; \
	echo "installed: $(words $(TOOL_NAMES)) tools in $$prefix/bin, their man pages, completions and recipes in $$prefix/share" >&2

# The folders that only these files use go too; a file that a user put there keeps its folder.
uninstall:
	@prefix='$(DESTDIR)$(PREFIX)'; \
	for file in $(INSTALLED); do rm -f "$$prefix/$$file"; done; \
	if [ -d "$$prefix/share/cream" ]; then find "$$prefix/share/cream" -depth -type d -empty -delete; fi; \
	echo "removed: $(words $(INSTALLED)) files from $$prefix" >&2
