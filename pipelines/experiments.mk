# Experiments of several runs: what a search's ranking is worth, better paths by evolution, recipes side by side.

.PHONY: rank-correlation evolve compare-recipes

JOBS ?= $(shell nproc)

# rank-correlation.mk says what is run; its settings reach it through the environment or the command line.
RANK := $(RUNS)/$(NAME)/rank-correlation
RANK_SEARCH_CONFIG ?= configs/search/$(if $(DATA),imagenet,rank-correlation).toml
RANK_RETRAIN_CONFIG ?= configs/retrain/$(if $(DATA),287,rank-correlation).toml

rank-correlation: announce $(SHARDS)/index.json | $(BUILD)
	@$(MAKE) --no-print-directory -f pipelines/rank-correlation.mk -j $(JOBS) TOOLS=$(TOOLS) SHARDS=$(SHARDS) \
	  OUT=$(RANK) SEARCH_CONFIG=$(RANK_SEARCH_CONFIG) RETRAIN_CONFIG=$(RANK_RETRAIN_CONFIG)

# Evolution of a search's paths (Guo et al., ECCV 2020): the first generation is random, each later one are children of
# the best PARENTS of all before, and all are scored with inherited weights.
GENERATIONS ?= 10
POPULATION ?= 50
PARENTS ?= 10
EVOLVE_SEED ?= $(or $(SEED),0)
EVOLVED := $(RUN)/evolve

evolve: search $(EVOLVED)/arch.json | $(BUILD)
	@echo "the search's own best path:" >&2; $(TOOLS)/path-export $(RUN) >/dev/null
	@echo "after $(GENERATIONS) generations: $(EVOLVED)/arch.json" >&2
	@$(TOOLS)/flops-count $(EVOLVED)/arch.json

$(EVOLVED)/paths-1.jsonl: $(RUN)/board.json | $(BUILD)
	@mkdir -p $(@D)
	$(call publish,$(TOOLS)/path-export $(RUN) --sample $(POPULATION) --seed $(EVOLVE_SEED))

# $(1) is a generation and $(2) the scores of those before it.
define generation
$(EVOLVED)/paths-$(1).jsonl: $(2)
	$$(call publish,cat $$^ | $(TOOLS)/path-export $(RUN) --scores - --offspring $(POPULATION) --parents $(PARENTS) --seed $(EVOLVE_SEED))
endef
scores = $(foreach generation,$(1),$(EVOLVED)/scores-$(generation).jsonl)
$(foreach last,$(shell seq 2 $(GENERATIONS)),$(eval $(call generation,$(last),\
  $(call scores,$(shell seq 1 $$(( $(last) - 1 )))))))

$(EVOLVED)/scores-%.jsonl: $(EVOLVED)/paths-%.jsonl $(RUN)/supernet.safetensors $(SHARDS)/index.json | $(BUILD)
	$(call publish,$(strip $(TOOLS)/evaluate --supernet $(RUN) --arch $< --data $(SHARDS) \
	  $(call option,--threads,$(THREADS))))

$(EVOLVED)/arch.json: $(call scores,$(shell seq 1 $(GENERATIONS))) | $(BUILD)
	$(call publish,cat $(filter %.jsonl,$^) | $(TOOLS)/path-export $(RUN) --scores -)

# Recipes side by side, several seeds of each, of one network.
RECIPES_COMPARED ?= sample-plain sample-full sample-mixup
SEEDS ?= 0 1 2
COMPARED := $(RUNS)/$(NAME)/compare-recipes

compare-recipes: announce $(SHARDS)/index.json $(ARCH) | $(BUILD)
	@$(MAKE) --no-print-directory -f pipelines/compare-recipes.mk -j $(JOBS) TOOLS=$(TOOLS) SHARDS=$(SHARDS) \
	  OUT=$(COMPARED) ARCH=$(ARCH) RECIPES='$(RECIPES_COMPARED)' SEEDS='$(SEEDS)'
