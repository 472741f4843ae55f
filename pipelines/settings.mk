# What a command line means: which data, which recipes, which folders.

FLOPS_MIN ?= 0
FLOPS_MAX ?= 200
RUNS ?= runs
SHARD_ROOT ?= data

# A wrong setting stops the work that would use it, but neither help nor tests.
WORK := $(filter search retrain evaluate pipeline prepare evolve rank-correlation compare-recipes,$(MAKECMDGOALS))
refuse = $(if $(WORK),$(error $(1)))

ifneq ($(words $(DATA) $(ARCH) $(WEIGHTS)),$(words $(firstword $(DATA)) $(firstword $(ARCH)) $(firstword $(WEIGHTS))))
$(call refuse,DATA or ARCH or WEIGHTS holds a space: each is one path; link the folder under another name)
endif
ifneq ($(findstring -,$(FLOPS_MIN)$(FLOPS_MAX))$(findstring /,$(FLOPS_MIN)$(FLOPS_MAX)),)
$(call refuse,FLOPS_MIN=$(FLOPS_MIN) FLOPS_MAX=$(FLOPS_MAX): give numbers of millions such as FLOPS_MAX=200)
endif

# SHARDS is the folder of shards; SOURCE, when set, is what they are made of.
ifeq ($(strip $(DATA)),)
  NAME := fashion-mnist
  SOURCE := tests/data/fashion-mnist
  SOURCE_FILES := $(wildcard $(SOURCE)/*.gz)
  SHARDS := $(SHARD_ROOT)/$(NAME)
  RECIPE := sample
  RETRAIN_RECIPES := sample
  # 15 % of so few training images, where the default of 4 % would rank paths on 200.
  PREP_FLAGS ?= --search-val-share 0.15
  ABOUT := the bundled Fashion-MNIST subset: 5,000 training and 3,000 validation images, \
    28x28 grey, 10 classes (DATA=/path/to/images for your own)
else
  FOLDER := $(patsubst %/,%,$(DATA))
  NAME := $(notdir $(FOLDER))
  RECIPE := imagenet
  # That of a published network for itself, for any other that of the 287 M network.
  RETRAIN_RECIPES = $(patsubst %.json,%,$(notdir $(ARCH))) 287
  ifneq ($(wildcard $(FOLDER)/index.json),)
    SHARDS := $(FOLDER)
    ABOUT := the shards in $(FOLDER)
  else
    SOURCE := $(FOLDER)
    SHARDS := $(SHARD_ROOT)/$(NAME)
    ABOUT := $(SOURCE), prepared as shards in $(SHARDS)
    ifeq ($(wildcard $(SOURCE)),)
      $(call refuse,DATA=$(DATA): no such folder)
    endif
  endif
endif

# Two folders of one name would share a folder of shards; who made it is kept beside it.
ifdef SOURCE
  ORIGIN := $(if $(DATA),$(abspath $(SOURCE)),$(SOURCE))
  MADE_FROM := $(if $(wildcard $(SHARDS).source),$(file <$(SHARDS).source))
  ifneq ($(MADE_FROM),$(if $(MADE_FROM),$(ORIGIN)))
    $(call refuse,$(SHARDS) was made from $(MADE_FROM) and not from $(ORIGIN): \
      give another SHARD_ROOT and RUNS or remove $(SHARDS) and $(SHARDS).source)
  endif
endif

SEARCH_CONFIG ?= configs/search/$(RECIPE).toml
RETRAIN_CONFIG ?= $(firstword $(wildcard $(RETRAIN_RECIPES:%=configs/retrain/%.toml)))

RUN := $(RUNS)/$(NAME)/search-$(FLOPS_MIN)-$(FLOPS_MAX)
FOUND := $(RUN)/arch.json
ARCH ?= $(FOUND)

ifeq ($(filter $(RUNS)/%/arch.json,$(ARCH))$(wildcard $(ARCH)),)
$(call refuse,ARCH=$(ARCH): no such file; make search writes $(FOUND))
endif

# A found architecture is retrained inside its search's folder, any other in one of its own.
ifneq ($(filter search-%,$(notdir $(patsubst %/arch.json,%,$(ARCH)))),)
  RETRAIN := $(patsubst %/arch.json,%,$(ARCH))/retrain
else
  RETRAIN := $(RUNS)/$(NAME)/retrain-$(basename $(notdir $(ARCH)))
endif

# $(call option,--flag,VALUE) is the flag with its value, or nothing when the value is empty.
option = $(if $(strip $(2)),$(1) $(2))
TRAINER_FLAGS = $(strip $(call option,--epochs,$(EPOCHS)) $(call option,--seed,$(SEED)) \
  $(call option,--threads,$(THREADS)) $(EXTRA))
