/* A server that forgets a session now and then. */
#include <stdlib.h>
#include <time.h>

static void serve(int request)
{
    char *session = malloc(3000);
    session[0] = (char)request;
    if (request % 10 != 0)
        free(session);
}

int main(void)
{
    for (int request = 0; request < 20000; request++) {
        serve(request);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return 0;
}
