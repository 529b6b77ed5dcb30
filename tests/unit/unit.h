/*
 * What the unit tests share: one suite a module, a process per test.
 */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

#include <check.h>
#include <stddef.h>

/* 0 when all passed. */
int unit_run(const char *module, const TTest *const *tests, size_t count);

#define UNIT_MAIN(module, ...) UNIT_MAIN_WHERE(1, module, __VA_ARGS__)

/* Skipped where it cannot be; the tests are named all the same, so that none of them is unused. */
#define UNIT_MAIN_WHERE(can_be, module, ...)                                                                           \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        const TTest *const unit_tests[] = {__VA_ARGS__};                                                               \
        return (can_be) ? unit_run(module, unit_tests, sizeof(unit_tests) / sizeof(unit_tests[0])) : 77;               \
    }

#endif
