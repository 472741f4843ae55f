# Whether a search ranks paths as training each of them alone does: `make rank-correlation` runs this file with as
# many jobs at once as there are cores, each on one thread. What is done stays done.
#
# given by the main Makefile: TOOLS, SHARDS, OUT, SEARCH_CONFIG, RETRAIN_CONFIG and the settings below

include pipelines/shell.mk
.DEFAULT_GOAL := report
# What took a quarter of an hour is kept, though only a step on the way.
.SECONDARY:

# Paths, spread over the costs that the supernet's can have; seeds of each path alone, and of the searches.
RANK_PATHS ?= 24
ALONE_SEEDS ?= 0 1 2
SEARCH_SEEDS ?= 0

NUMBERS := $(shell seq -w 1 $(RANK_PATHS))
SEARCHES := $(foreach seed,$(SEARCH_SEEDS),$(OUT)/distilled-$(seed) $(OUT)/uniform-$(seed))
ALONE := $(ALONE_SEEDS:%=$(OUT)/alone-%.jsonl)
QUIET := --threads 1 --quiet

.PHONY: report
report: $(OUT)/report.json
	@cat $(OUT)/report.txt

# The same steps and draws, but that nobody teaches.
$(OUT)/distilled-%/supernet.safetensors: $(SHARDS)/index.json $(SEARCH_CONFIG)
	@echo "distilled search, seed $*" >&2
	@$(TOOLS)/supernet-train --data $(SHARDS) --out $(@D) --config $(SEARCH_CONFIG) --seed $* $(QUIET)

$(OUT)/uniform-%/supernet.safetensors: $(SHARDS)/index.json $(SEARCH_CONFIG)
	@echo "uniform search, seed $*" >&2
	@$(TOOLS)/supernet-train --data $(SHARDS) --out $(@D) --config $(SEARCH_CONFIG) --seed $* --pick-method none $(QUIET)

$(OUT)/paths.jsonl: $(firstword $(SEARCHES))/supernet.safetensors
	@$(TOOLS)/path-export $(<D) --sample $(RANK_PATHS) --spread --quiet >$@

# Inherited weights are tried on the images that the networks alone are tried on: no path is chosen here.
$(OUT)/%/scores.jsonl: $(OUT)/paths.jsonl $(OUT)/%/supernet.safetensors
	@$(TOOLS)/evaluate --supernet $(@D) --arch $< --data $(SHARDS) --split val $(QUIET) >$@

# $(1) is the path's number and $(2) the seed. A network takes some tens of megabytes, and its score is all that counts.
define alone
$(OUT)/alone/$(1)-$(2).json: $(OUT)/paths.jsonl $(RETRAIN_CONFIG)
	@mkdir -p $$(@D)/$(1)-$(2)
	@sed -n '$(1)p' $$< >$$(@D)/$(1)-$(2)/path.json
	@$(TOOLS)/arch-retrain --arch $$(@D)/$(1)-$(2)/path.json --data $(SHARDS) --out $$(@D)/$(1)-$(2) \
	  --config $(RETRAIN_CONFIG) --seed $(2) $(QUIET)
	@$(TOOLS)/evaluate --weights $$(@D)/$(1)-$(2) --data $(SHARDS) --format json $(QUIET) >$$@
	@rm -r $$(@D)/$(1)-$(2)
	@echo "path $(1) alone, seed $(2): $$$$(cat $$@)" >&2
endef
$(foreach seed,$(ALONE_SEEDS),$(foreach number,$(NUMBERS),$(eval $(call alone,$(number),$(seed)))))

$(OUT)/alone-%.jsonl: $(foreach number,$(NUMBERS),$(OUT)/alone/$(number)-%.json)
	@cat $^ >$@

# Of each search its files in the order of seeds, which pairs them.
$(OUT)/report.json: $(ALONE) $(SEARCHES:%=%/scores.jsonl)
	@$(TOOLS)/evaluate rank-correlation --alone $(ALONE) \
	  $(foreach search,$(SEARCHES),--inherited $(firstword $(subst -, ,$(notdir $(search))))=$(search)/scores.jsonl) \
	  --format json >$@
	@$(TOOLS)/evaluate rank-correlation --alone $(ALONE) \
	  $(foreach search,$(SEARCHES),--inherited $(firstword $(subst -, ,$(notdir $(search))))=$(search)/scores.jsonl) \
	  --format text >$(@D)/report.txt
