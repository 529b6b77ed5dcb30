# The commands of the project.  Meson does the work; packages.txt lists what it needs.
BUILD ?= build
PREFIX ?= /usr/local
MESON_FLAGS ?=

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@scripts/packages core
	@meson setup $(BUILD) --prefix=$(PREFIX) $(MESON_FLAGS)

# sqlite3 loads and queries rows on tagged pools, with the table of who holds its memory beside it.
run: all
	@scripts/packages run
	@scripts/demo $(BUILD)

check:
	@scripts/packages core check
	@$(MAKE) --no-print-directory all-with-tests
	@scripts/check $(BUILD)

bench:
	@scripts/packages core bench
	@$(MAKE) --no-print-directory all-with-tests
	@bench/run $(BUILD)

install: all
	@meson configure $(BUILD) --prefix=$(abspath $(PREFIX)) >/dev/null
	@meson install -C $(BUILD)

# A build that was configured before the packages of tests were there has none of them.
all-with-tests: $(BUILD)/build.ninja
	@[ -d $(BUILD)/tests ] || meson setup --reconfigure $(BUILD)
	@$(MAKE) --no-print-directory all

# The engine under the sanitizers, through its API.
asan:
	@scripts/packages core check
	@scripts/sanitize address,undefined

tsan:
	@scripts/packages core check
	@scripts/sanitize thread

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

.PHONY: all all-with-tests run check bench install asan tsan format
