#include "command.h"
#include "report.h"

#include <string.h>

int command_verifier(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "run") == 0)
        return command_run(argc - 1, argv + 1);
    return report_usage("say 'verifier run --verify PROGRAM': 'man tagpool-run' tells more.");
}
