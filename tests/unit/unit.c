#include "unit.h"

/* Seconds after which a test counts as hanging, on a busy machine. */
enum { UNIT_TIMEOUT = 50 };

int unit_run(const char *module, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(module);
    TCase *tcase = tcase_create(module);
    tcase_set_timeout(tcase, UNIT_TIMEOUT);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_VERBOSE);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
