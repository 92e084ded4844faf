# Each target does all of its own set-up: Debian packages, compiling, the hosts' image, Kafka's tarballs.
# It needs Rust (rustup's or Debian's, 1.89 or newer), the package registries, and root or sudo.

.PHONY: help test test-all rehearse

help:
	@echo 'make rehearse   three ZooKeepers and three brokers on hosts of this machine, upgraded under load'
	@echo 'make test       every test, one install and upgrade under load included'
	@echo 'make test-all   that, lints, licences, and what takes long; ends by itself after 70 minutes'

test:
	@tests/stages.sh test

test-all:
	@tests/stages.sh all

rehearse:
	@tests/story/rehearse.sh
