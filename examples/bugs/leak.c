/* Jobs that are thrown away with what hangs on them, and one that is known by a pointer into it alone. */
#include <stdlib.h>

struct job {
    struct job *next;
    char *name;
    char text[40];
};

static char *last_text;

static struct job *make_job(void)
{
    struct job *job = calloc(1, sizeof(*job));
    job->name = malloc(20);
    return job;
}

static void run_jobs(int count)
{
    for (int i = 0; i < count; i++)
        make_job();
    last_text = make_job()->text;
}

int main(void)
{
    run_jobs(100);
    return 0;
}
