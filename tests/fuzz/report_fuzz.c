/*
 * Hostile reports against their reader: nothing outside the data may be read, and every reading ends.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address -DREPORT_FUZZ_LIBFUZZER.  Without, a program of its own damages valid
 * records at random:  report_fuzz [ROUNDS [SEED]]
 */
#include "reportfile.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The page behind the input is inaccessible, so that reading beyond it is seen without a sanitizer, too. */
static unsigned char *fuzz_place(const uint8_t *data, size_t size)
{
    static unsigned char *area;
    const size_t most = 1 << 18, page = 4096;
    if (area == NULL) {
        area = mmap(NULL, most + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED || mprotect(area + most, page, PROT_NONE) != 0)
            abort();
    }
    return size <= most ? memcpy(area + most - size, data, size) : NULL;
}

static unsigned fuzz_sum; /* so that no reading is optimised away */

static void fuzz_use(const struct reportfile_record *record)
{
    for (int role = 0; role < REPORTFILE_ROLES; role++)
        for (uint32_t i = 0; i < record->stacks[role].count; i++) {
            const struct reportfile_module *module = reportfile_module(record, &record->stacks[role].frames[i]);
            fuzz_sum += module != NULL ? (unsigned)strlen(module->path) : 0;
        }
    for (size_t i = 0; i < record->bytes_count; i++)
        for (uint32_t at = 0; at < record->bytes[i].count; at++)
            fuzz_sum += record->bytes[i].bytes[at];
    fuzz_sum += (unsigned)(strlen(record->block.name) + strlen(record->leak.name) + strlen(record->head.program));
}

static void fuzz_read_all(const unsigned char *data, size_t size, bool is_last)
{
    static struct reportfile_record record;
    bool is_found;
    for (size_t at = 0;;) {
        size_t used = reportfile_parse(data + at, size - at, is_last, &record, &is_found);
        if (used > size - at || (is_last && !is_found && used != size - at))
            abort();
        if (!is_found)
            break;
        fuzz_use(&record);
        at += used;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *place = fuzz_place(data, size);
    if (place == NULL)
        return 0;
    fuzz_read_all(place, size, false);
    fuzz_read_all(place, size, true);
    return 0;
}

#ifndef REPORT_FUZZ_LIBFUZZER

#include "report_build.h"

static uint64_t fuzz_state;

static uint64_t fuzz_random(void)
{
    fuzz_state ^= fuzz_state << 13;
    fuzz_state ^= fuzz_state >> 7;
    fuzz_state ^= fuzz_state << 17;
    return fuzz_state;
}

/* Numbers at which arithmetic breaks come as often as others. */
static uint32_t fuzz_number(void)
{
    static const uint32_t numbers[] = {
        0, 1, 7, 8, 16, 64, 96, 65535, 65536, INT32_MAX, UINT32_MAX, UINT32_MAX / 24, TAGPOOL_REPORT_MAGIC};
    uint64_t pick = fuzz_random();
    size_t count = sizeof(numbers) / sizeof(numbers[0]);
    return pick % 2 == 0 ? numbers[pick / 2 % count] + (uint32_t)(fuzz_random() % 3) - 1
                         : (uint32_t)(fuzz_random() >> 32) >> fuzz_random() % 32;
}

static void fuzz_make(struct report_build *build)
{
    static const struct tagpool_report_block block = {.address = 0x1000, .size = 100};
    static const uint64_t parameters[4] = {1, 2, 3, 4};
    struct tagpool_report_frame frames[8];
    memset(frames, 0, sizeof(frames));
    report_build_init(build, (enum tagpool_report_kind)(fuzz_random() % 5), 1, "fuzz");
    report_build_stop(build, 1, 2, TAGPOOL_REPORT_READ, parameters);
    report_build_block(build, &block, "Tag1", "name");
    for (unsigned role = 1; role <= 3; role++)
        report_build_stack(build, (enum tagpool_report_stack_role)role, frames, (uint32_t)(fuzz_random() % 8));
    report_build_module(build, 0, 0, "/lib/libfuzz.so");
    report_build_bytes(build, 0xff0, "0123456789abcdef", 16);
    report_build_leak(build, TAGPOOL_REPORT_LOST, "Tag1", "name", 1, 2);
}

static void fuzz_round(void)
{
    static struct report_build build;
    static unsigned char data[8 * 4096];
    size_t size = 0;
    for (uint64_t n = 1 + fuzz_random() % 3; n > 0; n--) {
        fuzz_make(&build);
        size_t length = fuzz_random() % 4 == 0 ? fuzz_random() % build.size : build.size;
        memcpy(data + size, build.bytes, length);
        size += length;
    }
    for (uint64_t n = size >= 4 ? fuzz_random() % 6 : 0; n > 0; n--) {
        uint32_t number = fuzz_number();
        size_t at = fuzz_random() % (size - 3);
        at -= fuzz_random() % 4 != 0 ? at % 4 : 0;
        memcpy(data + at, &number, sizeof(number));
    }
    LLVMFuzzerTestOneInput(data, size);
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)(uintptr_t)&argc * 0x9e3779b97f4a7c15u;
    printf("report_fuzz %lu 0x%llx\n", rounds, (unsigned long long)seed);
    fflush(stdout);
    fuzz_state = seed | 1;
    for (unsigned long i = 0; i < rounds; i++)
        fuzz_round();
    printf("%u\n", fuzz_sum);
    return 0;
}

#endif
