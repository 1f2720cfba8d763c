# podrt. `make demo` sets up and runs a real pod; `make test` runs every test.
# Both work on a fresh Debian 12 with root, make and Go.

SHELL       := /bin/bash
GO          ?= go
PREFIX      ?= /usr/local
DESTDIR     ?=
VERSION     ?= 0.1.0
COMMIT      ?= $(shell git describe --always --dirty --abbrev=40 --match= 2>/dev/null || echo unknown)

TAGS        := seccomp netgo osusergo
LDFLAGS     := -s -w -X main.version=$(VERSION) -X main.gitCommit=$(COMMIT) -extldflags "-static"
export CGO_ENABLED := 1

# Tests run the same tags as the binary.
GOTEST      := $(GO) test -tags '$(TAGS)'
PRIVILEGED  := ./cgroups ./nsenter ./rootfs ./rootfs/image ./netsetup ./sandbox ./cmd/podrt-cni ./cmd/podrt-kube ./integration/rung ./integration/cmd/rung
LINT_VERSION := v2.15.0
GOFUMPT_VERSION := v0.9.1
TOOLS       := $(CURDIR)/bin/tools

.PHONY: all build deps demo test test-unit test-native test-vm test-conformance conformance vet lint inittrace bench man install clean

all: build

build: bin/podrt bin/podrt-cni bin/podrt-kube bin/podrt-probe bin/rung ## build bin/podrt and what it executes, and bin/rung for the tests

# Go knows best what is up to date.
.PHONY: bin/podrt bin/podrt-cni bin/podrt-kube bin/podrt-probe bin/rung bin/probe bin/cri
bin/podrt:
	$(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o $@ ./cmd/podrt
bin/podrt-cni: # podrt executes it for networks of CNI
	CGO_ENABLED=0 $(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o $@ ./cmd/podrt-cni
bin/podrt-kube: # podrt executes it for `podrt image` and `podrt kube`
	$(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o $@ ./cmd/podrt-kube
bin/podrt-probe: # podrt executes it for probes by the network
	CGO_ENABLED=0 $(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o $@ ./cmd/podrt-probe
bin/rung:
	CGO_ENABLED=0 $(GO) build -trimpath -o $@ ./integration/cmd/rung
bin/probe: # what containers of the tests run
	CGO_ENABLED=0 $(GO) build -trimpath -o $@ ./integration/probe
bin/cri: # calls an engine's CRI socket in tests; a module of its own
	cd integration/cri && CGO_ENABLED=0 $(GO) build -trimpath -o $(CURDIR)/$@ .

deps: ## install by apt what a bare Debian 12 lacks, fetch the VM's parts
	integration/deps.sh

.PHONY: deps-demo
deps-demo: # without the engines that only the tests need
	integration/deps.sh demo

demo: deps-demo build ## run the example pod: natively on a unified cgroup v2 host, in the VM otherwise
	integration/demo.sh

test: deps build vet test-unit test-native test-conformance test-vm ## all tests

# These climb to a rung by themselves. Natively each has a rung to itself, so
# that they run side by side; two VMs fill two cores.
CLIMBERS    := ./integration ./integration/contract ./integration/engines

test-unit: ## tests that need no privilege
	env -u PODRT_RUNG $(GOTEST) $(filter-out $(shell $(GO) list $(CLIMBERS)),$(shell $(GO) list ./...))
	cd integration/cri && CGO_ENABLED=0 $(GO) test ./...

# Two at a time, each in namespaces of its own, or below in a VM: that fills two cores.
test-native: bin/podrt bin/rung bin/probe ## privileged tests in a private mount namespace with pure cgroup2
	$(GOTEST) -p 2 -exec '$(CURDIR)/bin/rung native' $(PRIVILEGED)
	$(MAKE) --no-print-directory -j 3 climb-network climb-containers climb-others

# Most of their time the first wait for the kernel to free network namespaces; the
# others are about as long as each other.
NETWORK     := ^Test(Network|CNI|CrashNetwork|CrashCNI)
CONTAINERS  := ^Test(OCI|Spec|Rootless|Full|Crash(Container|Engine|Image|Kube|Member|Pod))
.PHONY: climb-network climb-containers climb-others
climb-network:
	PODRT_RUNG_WANT=native $(GOTEST) -run '$(NETWORK)' ./integration
climb-containers:
	PODRT_RUNG_WANT=native $(GOTEST) -run '$(CONTAINERS)' ./integration
climb-others:
	PODRT_RUNG_WANT=native $(GOTEST) -skip '$(NETWORK)|$(CONTAINERS)' $(CLIMBERS)

# What a host's kernel may lack: ifb, VLANs on bridges, SCTP, br_netfilter. The rest
# of the network needs no controllers.
VM_NETWORK  := ^Test(Bandwidth|AttachKinds|SCTP|Traffic|Conntrack)$$

empty :=
space := $(empty) $(empty)

# What controllers and another kernel make no difference to: refusals before
# anything is made, hostile files, the order of starts and stops, what comes of a
# caller's end, what waits most, and what compares times, which emulation makes
# twenty of.
# Of the peers' way there is the native rung; integration/engines/table has both.
NATIVE_ENOUGH := $(subst $(space),,^Test( \
	Bad( \
		Boot|Bundle|Command|Exec|Flag|HostPath|ID|Join|Member|Pin|PodName|User)| \
	Counts|CrashCNI|CrashImage|CrashKube|CrashNetwork|Full|GracePeriod|Hostile| \
	InitContainers( \
		Fail|Hooks|Interrupted|Kept|MonitorKilled|Paused|Removed|Stopped)?| \
	Kube(Foreground|Play|Replace)|Leaderless(BesideInit|Pause)| \
	Network(Bandwidth|BridgeFilter|CNI|Loopback|Ports|Ruleset)| \
	OCI( \
		ConcurrentCreates|CreateKilled|DeleteForce|DeleteForceDoesNotSleep|KillWithoutInit| \
		NoCgroupVerbs|Notify|NotifyGone)| \
	Pod( \
		ByPrefix|CreatedContainers|Detached|Examples|Exec|ForeignContainer|Hook(Ends|Hangs)| \
		HookThatDoesNotRead|HostnameDefault|Image|ImageRefused|ImageUser|Logs|NameAgain| \
		NetworkNotShared|NetworkOfPod|OutputLost|PinsOutliveContainers|PoststopFails| \
		Restart(Always|BackOff|Fails|Full|Hooks|OnFailure|Orphans|Paused|Removed|RemovedAtOnce|Seen|StopInterrupted|Unread)| \
		Run|RunCannot|RunEndsWithCaller|RunInterrupt|Stop|StopAndStart|StopSignalRealTime|Tables| \
		VolumeOfBundle|VolumePropagation)| \
	PodsAreIsolated| \
	Probe( \
		AskedOnce|Escapes|Exec|Full|Handlers|Hangs|MonitorKilled|Namespaces|Network|Never|PausedPod| \
		Program(Missing|UserNamespace)|Sidecar|SidecarPreStop)| \
	ProgramFile|Rootless(Lifecycle|Pods|SubordinateIDs)| \
	Sidecar(AskedOnce|Restarts|StopInterrupted)|TimerSlack \
	)|^Test/^runc$$)

# The same of the leaves: natively a kill comes at every step of the sandbox
# process, and an error at each of its system calls.
NATIVE_LEAVES := ^Test(KillChild|KillSandboxProcess|CreateFails|InitReaps|RemoveDeep|SignalMany)$$

test-vm: bin/podrt bin/rung bin/probe ## privileged tests in a VM with full cgroup v2
	$(GOTEST) -p 2 -exec '$(CURDIR)/bin/rung vm' -skip '$(NATIVE_LEAVES)' $(filter-out ./netsetup ./rootfs/image ./cmd/podrt-cni ./cmd/podrt-kube,$(PRIVILEGED))
	$(GOTEST) -exec '$(CURDIR)/bin/rung vm -shards 2' -run '$(VM_NETWORK)' ./netsetup
	PODRT_VM='-shards 2' $(GOTEST) -p 1 -timeout 30m -skip '$(NATIVE_ENOUGH)' $(CLIMBERS)
	PODRT_VM='-systemd -shards 2' $(GOTEST) -p 1 -timeout 30m -run '^TestSystemd' -skip '^Test/^runc$$' ./integration ./integration/engines
	PODRT_RUNG_WANT=vm $(GOTEST) ./integration/vm

test-conformance: build bin/tools/runc ## runc's own suite natively: podrt passes what is committed that runc passes
	$(GO) run ./integration/conformance -baseline integration/conformance/native.baseline

conformance: build bin/tools/runc ## runc's own suite with podrt and with runc, on every rung: two hours
	$(GO) run ./integration/conformance -rung all -json bin/conformance/results.json

vet:
	$(GO) vet -tags '$(TAGS)' ./...
	cd integration/cri && CGO_ENABLED=0 $(GO) vet ./...

lint: $(TOOLS)/golangci-lint $(TOOLS)/gofumpt ## golangci-lint and gofumpt
	test -z "$$($(TOOLS)/gofumpt -l . | tee /dev/stderr)"
	$(TOOLS)/golangci-lint run --build-tags '$(TAGS)' ./...
	cd integration/cri && $(TOOLS)/golangci-lint run ./...

$(TOOLS)/golangci-lint:
	GOBIN=$(TOOLS) CGO_ENABLED=0 $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
$(TOOLS)/gofumpt:
	GOBIN=$(TOOLS) CGO_ENABLED=0 $(GO) install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)

# The peer in tests and benchmarks: runc itself, of the libcontainer that podrt
# links, with what its own go.mod requires and podrt's way of building.
RUNC := github.com/opencontainers/runc
bin/tools/runc: go.mod
	v=$$($(GO) list -m -f '{{.Version}}' $(RUNC)) && GOBIN=$(TOOLS) $(GO) install -trimpath -tags '$(TAGS)' \
		-ldflags "-s -w -X main.version=$${v#v} -X main.gitCommit=$$v -extldflags -static" $(RUNC)@$$v
	touch $@

# A peer in benchmarks, unpacked and not installed: podman would use it everywhere.
bin/tools/netavark:
	mkdir -p $(TOOLS)
	dir=$$(mktemp -d) && cd $$dir && apt-get download -q netavark && dpkg-deb -x netavark_*.deb . && \
		mv usr/lib/podman/netavark $(TOOLS)/ && rm -rf $$dir

inittrace: bin/podrt ## what package initialisation costs at every container start
	GODEBUG=inittrace=1 bin/podrt --version

bench: build bin/tools/runc bin/tools/netavark ## medians, side by side with runc, crun and podman in one run; fills docs/bench.md
	$(GO) run ./integration/bench -commit

man: bin/podrt ## write the manual pages to bin/man
	rm -rf bin/man && mkdir bin/man
	bin/podrt man bin/man

SHARE := $(DESTDIR)$(PREFIX)/share
install: bin/podrt bin/podrt-cni bin/podrt-kube bin/podrt-probe man ## install podrt, what it executes, a unit for systemd, manual pages and the shells' completion below DESTDIR and PREFIX
	install -D -m 0755 bin/podrt $(DESTDIR)$(PREFIX)/sbin/podrt
	install -D -m 0755 bin/podrt-cni $(DESTDIR)$(PREFIX)/libexec/podrt/podrt-cni
	install -D -m 0755 bin/podrt-kube $(DESTDIR)$(PREFIX)/libexec/podrt/podrt-kube
	install -D -m 0755 bin/podrt-probe $(DESTDIR)$(PREFIX)/libexec/podrt/podrt-probe
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local|$(PREFIX)|' cmd/podrt/podrt@.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/podrt@.service
	install -d $(SHARE)/man/man8 $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	install -m 0644 bin/man/*.8 $(SHARE)/man/man8
	mkdir -p bin/completion && for shell in bash zsh fish; do bin/podrt completion $$shell > bin/completion/$$shell || exit; done
	install -m 0644 bin/completion/bash $(SHARE)/bash-completion/completions/podrt
	install -m 0644 bin/completion/zsh $(SHARE)/zsh/site-functions/_podrt
	install -m 0644 bin/completion/fish $(SHARE)/fish/vendor_completions.d/podrt.fish

clean:
	rm -rf bin
