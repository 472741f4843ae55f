# One rule per stage, on the files that the stages really write. The trainers write their results
# once, when they finish, so a result that exists is a stage that is done.

.PHONY: prepare
prepare: $(SHARDS)/index.json

ifdef SOURCE
# Shards that are there and older than their source are those to replace.
$(SHARDS)/index.json: $(SOURCE_FILES) | $(BUILD)
	@mkdir -p $(@D)
	@echo '$(ORIGIN)' >$(@D).source
	@set -x; $(TOOLS)/imagenet-prep $(SOURCE) $(@D) $(PREP_FLAGS) $(if $(wildcard $@),--overwrite)
endif

# $(call resume,RUN) is the value of --resume. What was started from today's recipe and inputs goes
# on; when any of them is newer than the settings saved at the start, the run begins afresh, because
# the trainer refuses to go on under other settings. The trainer moves what is there aside: a mere
# touch must not destroy days of work.
resume = $$( \
  for input in $^; do \
    if [ -e $(1)/config.toml ] && [ "$$input" -nt $(1)/config.toml ]; then \
      echo "make: $$input is newer than the run in $(1), which starts afresh" >&2; \
      echo never; exit; \
    fi; \
  done; \
  echo auto)

# $(call publish,COMMAND) makes the target of what the command prints, whole or not at all.
publish = @echo '$(1) >$@' >&2; $(1) >$@.tmp && mv $@.tmp $@ || { status=$$?; rm -f $@.tmp; exit $$status; }

# The trainers take the shell's place (exec), so that make passes a signal on to them and waits until they have written
# their checkpoint. The folder's name carries the interval, which is the stem: min-max.
$(RUNS)/$(NAME)/search-%/board.json $(RUNS)/$(NAME)/search-%/supernet.safetensors: \
    $(SHARDS)/index.json $(SEARCH_CONFIG) | $(BUILD)
	@mkdir -p $(@D)
	@resume=$(call resume,$(@D)); set -x; \
	exec $(TOOLS)/supernet-train --data $(SHARDS) --out $(@D) --config $(SEARCH_CONFIG) \
	  --flops-min $(word 1,$(subst -, ,$*)) --flops-max $(word 2,$(subst -, ,$*)) \
	  --resume $$resume $(TRAINER_FLAGS)

$(RUNS)/$(NAME)/search-%/arch.json: $(RUNS)/$(NAME)/search-%/board.json | $(BUILD)
	$(call publish,$(TOOLS)/path-export $(@D))

$(RUNS)/$(NAME)/%/model.safetensors: $(ARCH) $(SHARDS)/index.json $(RETRAIN_CONFIG) | $(BUILD)
	@mkdir -p $(@D)
	@resume=$(call resume,$(@D)); set -x; \
	exec $(TOOLS)/arch-retrain --arch $(ARCH) --data $(SHARDS) --out $(@D) \
	  --config $(RETRAIN_CONFIG) --resume $$resume $(TRAINER_FLAGS)

$(RUNS)/$(NAME)/%/evaluation.json: $(RUNS)/$(NAME)/%/model.safetensors $(SHARDS)/index.json | $(BUILD)
	$(call publish,$(strip $(TOOLS)/evaluate --weights $< --data $(SHARDS) \
	  $(call option,--threads,$(THREADS)) --format json))
