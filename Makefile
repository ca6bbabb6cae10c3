# The archiver's container image: built here, and pushed where deployments pull
# it. `launch` needs none of this for a deployment on this machine.
#
# Versions:
#   0.0.0          what a development deployment pulls; each push replaces it
#   1.x (1.4.2)    a release, pushed once; production runs the newest one
#
#   make container
#   make push TAG=0.0.0 IMAGE=registry.example.org/group/archive_ingest

IMAGE ?= archive_ingest
# docker, else podman.
ENGINE ?= $(shell command -v docker || command -v podman || echo docker)
# What is built when no version is named; nothing is pushed without one.
VERSION := $(or $(TAG),0.0.0)

.PHONY: help container push pushable

help:
	@echo 'make container [TAG=0.0.0]      build $(IMAGE):$(VERSION)'
	@echo 'make push TAG=… IMAGE=…         build it from a clean tree, and push it'
	@echo
	@echo 'TAG: 0.0.0 is what a development deployment pulls, the newest 1.x production.'
	@echo 'IMAGE: the name with its registry, registry.example.org/group/archive_ingest.'
	@echo 'ENGINE: docker or podman.'

container:
	$(ENGINE) build --file deploy/Dockerfile --build-arg VERSION='$(VERSION)' \
	  --label org.opencontainers.image.revision="$$(git rev-parse HEAD)" --tag '$(IMAGE):$(VERSION)' .

# What is pushed is what is committed.
push: pushable
	$(MAKE) container
	$(ENGINE) push '$(IMAGE):$(VERSION)'

pushable:
	@test -n '$(TAG)' || \
	  { echo 'push: name the version, TAG=0.0.0 for development or TAG=1.4.2 for a release' >&2; exit 2; }
	@printf '%s\n' '$(TAG)' | grep -Eqx '0\.0\.0|[1-9][0-9]*\.[0-9]+\.[0-9]+' || \
	  { echo 'push: TAG=$(TAG) is neither 0.0.0 nor a release like 1.4.2' >&2; exit 2; }
	@case '$(IMAGE)' in \
	  */*) ;; \
	  *) echo 'push: name the image with its registry, IMAGE=registry.example.org/group/archive_ingest' >&2; exit 2;; \
	esac
	@changes=$$(git status --porcelain) || exit 3; test -z "$$changes" || \
	  { echo 'push: commit or remove what git status shows, so that the image is what is committed' >&2; exit 2; }
