# One network retrained with several recipes, several seeds of each: `make compare-recipes` runs this file with as many
# jobs at once as there are cores, each on one thread. What is done stays done.
#
# given by the main Makefile: TOOLS, SHARDS, OUT, ARCH, RECIPES (names in configs/retrain), SEEDS

include pipelines/shell.mk
.DEFAULT_GOAL := report

QUIET := --threads 1 --quiet

# $(1) is the recipe and $(2) the seed.
define run
$(OUT)/$(1)-$(2)/evaluation.json: $(ARCH) $(SHARDS)/index.json configs/retrain/$(1).toml
	@mkdir -p $$(@D)
	@$(TOOLS)/arch-retrain --arch $(ARCH) --data $(SHARDS) --out $$(@D) --config configs/retrain/$(1).toml \
	  --seed $(2) $(QUIET)
	@$(TOOLS)/evaluate --weights $$(@D) --data $(SHARDS) --format json $(QUIET) >$$@
	@echo "$(1), seed $(2): $$$$(cat $$@)" >&2
endef
$(foreach recipe,$(RECIPES),$(foreach seed,$(SEEDS),$(eval $(call run,$(recipe),$(seed)))))

# Top-1 as a share from the evaluation's one line of JSON; mean and standard deviation in points.
.PHONY: report
report: $(foreach recipe,$(RECIPES),$(foreach seed,$(SEEDS),$(OUT)/$(recipe)-$(seed)/evaluation.json))
	@for recipe in $(RECIPES); do \
	  for seed in $(SEEDS); do sed 's/.*"top1":\([0-9.]*\).*/\1/' $(OUT)/$$recipe-$$seed/evaluation.json; done | \
	  awk -v recipe=$$recipe '{ x = 100 * $$1; all = all sprintf(" %.2f", x); n++; sum += x; squares += x * x } \
	    END { mean = sum / n; s = n > 1 ? sqrt((squares - n * mean * mean) / (n - 1) + 1e-12) : 0; \
	      printf "%-16s top-1 %.2f %%, standard deviation %.2f over %d seeds:%s\n", recipe, mean, s, n, all }'; \
	done
