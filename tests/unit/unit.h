/*
 * What the unit tests share: one suite a module, a process per test.
 */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

#include <check.h>
#include <stddef.h>

/* 0 when all passed. */
int unit_run(const char *module, const TTest *const *tests, size_t count);

#define UNIT_MAIN(module, ...)                                                                                         \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        const TTest *const unit_tests[] = {__VA_ARGS__};                                                               \
        return unit_run(module, unit_tests, sizeof(unit_tests) / sizeof(unit_tests[0]));                               \
    }

#endif
