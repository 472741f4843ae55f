# The commands for people: which files each asks for, and what it shows when they are there.

.PHONY: search retrain evaluate pipeline announce

announce:
	@echo "data: $(strip $(ABOUT))" >&2

search: announce $(FOUND) $(RUN)/board.json $(RUN)/supernet.safetensors | $(BUILD)
	@echo "found: $(FOUND)" >&2
	@$(TOOLS)/flops-count $(FOUND)

retrain: announce $(RETRAIN)/model.safetensors
	@echo "weights: $(RETRAIN)/model.safetensors" >&2

# Weights that were named are scored as they are; otherwise they are those of ARCH, retrained first
# if need be. Ours carry their architecture; foreign ones need ARCH.
ifdef WEIGHTS
evaluate: announce $(SHARDS)/index.json | $(BUILD)
	@$(TOOLS)/evaluate --weights $(WEIGHTS) $(if $(filter-out file,$(origin ARCH)),--arch $(ARCH)) \
	  --data $(SHARDS) $(call option,--threads,$(THREADS)) --format text $(EXTRA)
else
evaluate: announce $(RETRAIN)/evaluation.json
	@cat $(RETRAIN)/evaluation.json
endif

# The numbers come from the tools' own output; nothing is computed again here.
pipeline: search retrain $(RETRAIN)/evaluation.json
	@echo "evaluation: $(RETRAIN)/evaluation.json" >&2
	@cat $(RETRAIN)/evaluation.json
